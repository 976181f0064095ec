"""Fixtures: a phantom drawn once, folders with its files, and the real scans where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sct_rootlets import compute_spinal_levels
from sct_rootlets.output.phantoms import write_phantoms
from sct_rootlets.phantom import Phantom, draw_phantom, phantom_grid
from sct_rootlets.subject import SubjectLevels
from sct_rootlets.synthesis.cervical import cervical_anatomy

REPOSITORY = Path(__file__).parents[1]
MODEL_LABELS = {"lvl1": 1, "lvl2": 2, "lvl3": 3}
DATA = Path(os.environ.get("SCT_ROOTLETS_DATA", REPOSITORY.parent / "shared" / "data"))


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
