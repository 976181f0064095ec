"""Fixtures: a phantom drawn once, folders with its files, and the real scans where they are."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # of several processes, each has one thread; said before numpy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets import compute_spinal_levels
from sct_rootlets.output.phantoms import write_phantoms
from sct_rootlets.phantom import Phantom, draw_phantom, phantom_grid
from sct_rootlets.subject import SubjectLevels
from sct_rootlets.synthesis.cervical import cervical_anatomy

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

REPOSITORY = Path(__file__).parents[1]
MODEL_LABELS = {"lvl1": 1, "lvl2": 2, "lvl3": 3}
DATA = Path(os.environ.get("SCT_ROOTLETS_DATA", REPOSITORY.parent / "shared" / "data"))
#: Files of a minute and more. They run first, so that of two processes none waits for the other at the end.
LONG_FILES = (
    "report/page/test_in_browser.py",
    "test_tutorial.py",
    "registration/test_group_example.py",
    "test_real_data.py",
    "cli/test_nothing_lost.py",
    "cohort/test_run.py",
    "cli/test_models.py",
    "segmentation/test_own_labels.py",
    "cli/test_published_layouts.py",
    "cohort/test_interrupted.py",
    "segmentation/test_equivalent_images.py",
    "cli/test_one_image.py",
    "cli/test_properties.py",
    "nnunet/test_end_to_end.py",
    "test_reproduce.py",
)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):  # pytest-xdist would begin with the files of most tests
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = REPOSITORY / "tests"
    places = {tests / name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """The standard anatomy on 1 mm voxels, in the axis order of a sagittal scan."""
    anatomy = cervical_anatomy()
    return draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))


@pytest.fixture(scope="session")
def phantom_levels(phantom: Phantom) -> SubjectLevels:
    """The levels of the phantom by the published method, with discs and PMJ."""
    return compute_spinal_levels(
        phantom.rootlets,
        cord=phantom.cord,
        discs=phantom.discs,
        pmj=phantom.pmj,
        image=phantom.image,
        method="extent",
        find_discs=False,
    )


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of testing_data/, freshly written."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of random weights, whose output is nonetheless an intricate function of its input."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    from sct_rootlets.bundled.export import write_model_folder
    from sct_rootlets.models.architecture import build_network, plain_unet

    torch.manual_seed(0)
    architecture = plain_unet((4, 8, 8), convolutions=(1, 1, 1))
    network = build_network(architecture, 1, len(MODEL_LABELS) + 1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("norm.bias"):
                parameter.normal_(0, 0.5)
        # Of random weights one class mostly wins; give each a turn.
        head = network.decoder.seg_layers[-1]
        head.weight.normal_()
        head.weight -= head.weight.mean(dim=0)
        features = torch.randn(1, 1, 32, 32, 24)
        head.bias -= network(features).mean(dim=(0, 2, 3, 4))
    folder = tmp_path_factory.mktemp("model")
    return write_model_folder(folder, network, architecture, MODEL_LABELS, (1.1, 0.9, 0.9), (32, 32, 24))


@pytest.fixture(scope="session")
def template_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template in SCT's layout, made of a straight phantom."""
    from sct_rootlets.output.phantoms import write_template

    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return folder


@pytest.fixture
def phantom_files(phantom_folder: Path) -> dict[str, Path]:
    """Image and labels of the first phantom of testing_data/, by what they are."""
    stem = "sub-phantom01_T2w"
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    names = {"cord": "SC_seg", "rootlets": "rootlets_dseg", "discs": "discs_dlabel"}
    files = {key: labels / f"{stem}_label-{name}.nii.gz" for key, name in names.items()}
    return {"image": phantom_folder / "sub-phantom01" / "anat" / f"{stem}.nii.gz", **files}


@pytest.fixture(scope="session")
def drifted_phantom() -> Phantom:
    """A phantom that is bent another way, 8 % longer, and whose levels lie 5 mm lower against the vertebrae."""
    anatomy = cervical_anatomy(bend_deg=14, sway_mm=4, scale=1.08, drift_mm=5)
    return draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))


@pytest.fixture(scope="session")
def drifted_registration(drifted_phantom: Phantom, template_folder: Path) -> Registration:
    """That phantom, registered to the template by its rootlets."""
    from sct_rootlets.registration.to_template import register

    drawn = drifted_phantom
    return register(drawn.image, cord=drawn.cord, rootlets=drawn.rootlets, discs=drawn.discs, template=template_folder)


@pytest.fixture
def fmri(drifted_phantom: Phantom, tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """Five volumes of whole numbers on thick slices of that phantom, 2.5 s apart: file, data and affine."""
    affine = drifted_phantom.cord.affine @ np.diag([4, 2, 2, 1])
    shape = tuple(n // step for n, step in zip(drifted_phantom.cord.data.shape, (4, 2, 2), strict=True))
    data = np.random.default_rng(1).integers(-300, 3000, (*shape, 5)).astype(np.int16)
    image = nib.Nifti1Image(data, affine)
    image.header.set_zooms((*image.header.get_zooms()[:3], 2.5))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "fmri.nii.gz")
    return tmp_path / "fmri.nii.gz", data, affine


@pytest.fixture
def real_data() -> Path:
    """The folder with real scans; where it is absent, the test is skipped, and nowhere else."""
    if not DATA.is_dir():
        pytest.skip(f"no real scans: set SCT_ROOTLETS_DATA to their folder (looked in {DATA})")
    return DATA


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    # With the data at hand, a test on real scans that skips is a test that went missing.
    if report.skipped and item.get_closest_marker("real_data") and DATA.is_dir():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although the real scans are at {DATA}"
    return report
