"""Another model of rootlets keeps its own labels; vertebrae and cord judge them."""

import json

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from published import write_model  # noqa: E402
from scans import anatomy_of, scan_of  # noqa: E402

from sct_rootlets.cli import deepseg  # noqa: E402
from sct_rootlets.cli.compute_spinal_levels import main as compute_main  # noqa: E402
from sct_rootlets.correspondence import spinal_middles  # noqa: E402
from sct_rootlets.deepseg import SegmentationSettings, compute_spinal_levels, segment_rootlets  # noqa: E402
from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.image import Volume  # noqa: E402
from sct_rootlets.levels import Level, Levels  # noqa: E402
from sct_rootlets.models.manifest import BUNDLED_FOLDER  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402
from sct_rootlets.nifti import load_volume, save_volume  # noqa: E402
from sct_rootlets.segmentation import own_labels, tiles  # noqa: E402
from sct_rootlets.segmentation.numbering import Numbering, all_discs  # noqa: E402
from sct_rootlets.segmentation.own_labels import box_around, judge_names, line_of_rootlets  # noqa: E402
from sct_rootlets.segmentation.predictor import predict  # noqa: E402
from sct_rootlets.segmentation.vertebral_path import VertebralPath  # noqa: E402

ROOTLETS = BUNDLED_FOLDER / "rootlets"


@pytest.fixture(scope="module")
def scan():
    return scan_of(anatomy_of(seed=1), seed=1)[0]


@pytest.fixture(scope="module")
def kept(scan):
    return segment_rootlets(scan, settings=SegmentationSettings(model=ROOTLETS))


def straight_numbering(probabilities, n=200, mm=18.0):
    """Numberings that differ by whole numbers, the first one right: disc 2 at 10 mm, vertebrae of 18 mm."""
    cells = np.arange(n) + 0.5
    paths = tuple(
        VertebralPath(coordinate=2 + shift + (cells - 10) / mm, sd=np.full(n, 0.05), log_evidence=0.0, shift=shift)
        for shift in range(len(probabilities))
    )
    return cells, Numbering(paths, {}, np.array(probabilities))


def levels_at(middles):
    return Levels("spinal", "extent", tuple(Level(value, "spinal", at - 4, at + 4, 0.5, 0.5)
                                            for value, at in middles.items()))  # fmt: skip


def test_labels_are_the_classes_of_the_model(scan, kept):
    """Around the cord they are those of the whole field of view; far from it there are none."""
    model = load_model(ROOTLETS)
    whole = predict(model, scan)
    full = segment_rootlets(scan, settings=SegmentationSettings(model=ROOTLETS, field_of_view="full"))
    np.testing.assert_array_equal(full.rootlets, whole)
    both = (kept.rootlets > 0) & (whole > 0)
    assert both.sum() > 500
    assert np.mean(kept.rootlets[both] == whole[both]) > 0.999
    distance = np.zeros(whole.shape)
    ijk = np.argwhere((kept.rootlets > 0) != (whole > 0))
    distance = kept.centerline.project(nib.affines.apply_affine(scan.affine, ijk)).distance
    assert np.count_nonzero(distance < 10) <= 0.01 * both.sum()


def test_levels_and_roots_follow_from_the_labels(kept):
    assert kept.name_sources == ("model",)
    assert kept.spinal.method == "extent"
    assert len(kept.spinal.levels) >= 6
    assert all(level.confidence is not None for level in kept.spinal.levels)
    assert ((kept.roots > 0) == (kept.rootlets > 0)).all()
    assert set(np.unique(kept.roots)) == {0, 1, 2, 3, 4}


def test_the_chain_renames_on_request(scan, kept):
    chain = segment_rootlets(scan, settings=SegmentationSettings(model=ROOTLETS, names="chain"))
    assert chain.spinal.method == "attachment"
    assert "model" not in chain.name_sources
    assert (chain.rootlets != kept.rootlets).any()


def test_names_that_are_one_off_are_noted_and_stay():
    cells, numbering = straight_numbering([0.97, 0.03])
    middles = spinal_middles(all_discs(cells, numbering.paths[0].coordinate))
    shown = {value: middles[value] for value in range(3, 8)}
    right, notes = judge_names(levels_at(shown), cells, numbering)
    assert notes == []
    assert [level.confidence for level in right.levels] == pytest.approx([0.97] * 5)
    off = {value + 1: at for value, at in shown.items()}
    wrong, (note,) = judge_names(levels_at(off), cells, numbering)
    assert [level.value for level in wrong.levels] == [4, 5, 6, 7, 8]
    assert [level.confidence for level in wrong.levels] == pytest.approx([0.03] * 5)
    assert "looks one off: by vertebrae and cord, C6 would be C5 (probability 0.97)" in note
    assert "-names chain" in note


def test_a_displaced_spine_is_not_a_wrong_name():
    """All rootlets 6 mm more caudal than usual: less than half a level."""
    cells, numbering = straight_numbering([1.0])
    middles = spinal_middles(all_discs(cells, numbering.paths[0].coordinate))
    judged, notes = judge_names(levels_at({value: middles[value] + 6 for value in range(3, 8)}), cells, numbering)
    assert notes == []
    assert all(level.confidence == 1 for level in judged.levels)


def test_one_level_that_is_named_twice_as_far_is_improbable():
    """A model that skips a name: the levels below it disagree with those above."""
    cells, numbering = straight_numbering([1.0])
    middles = spinal_middles(all_discs(cells, numbering.paths[0].coordinate))
    shown = {3: middles[3], 4: middles[4], 5: middles[5], 7: middles[6]}
    judged, notes = judge_names(levels_at(shown), cells, numbering)
    assert notes == []
    assert [level.confidence for level in judged.levels] == [1, 1, 1, 0]


def test_the_line_covers_where_rootlets_may_be(kept):
    cells, numbering = straight_numbering([0.6, 0.4])
    line = line_of_rootlets(kept.centerline, cells, numbering)
    arc = kept.centerline.project(line).arc
    # By the second numbering C1's top lies 36 mm above the mask; by the first, disc T2/T3 lies at 154 mm.
    assert arc.max() == pytest.approx(min(154, kept.centerline.cord_length + 15), abs=1.5)


def test_the_box_around_a_cord_has_its_margins_towards_the_right_sides():
    mask = np.zeros((40, 60, 80), dtype=bool)
    mask[18:22, 28:33, 30:60] = True
    margins = {"left": 3, "right": 6, "posterior": 8, "anterior": 4, "inferior": 10, "superior": 50}
    las = np.diag([-1.0, 2.0, 1.0, 1.0])  # indices grow towards left, anterior, superior
    assert box_around(mask, las, margins) == (slice(12, 25), slice(24, 35), slice(20, 80))
    ras = np.diag([1.0, 2.0, 1.0, 1.0])
    assert box_around(mask, ras, margins)[0] == slice(15, 28)


def test_without_a_cord_labels_are_those_of_the_whole_field_of_view(tmp_path, capsys):
    """A foreign model may know images in which ours finds nothing; what needs a cord is an error still."""
    rng = np.random.default_rng(0)
    save_volume(tmp_path / "t2.nii.gz", rng.normal(100, 10, (40, 40, 40)).astype(np.float32), np.eye(4) * [2, 2, 2, 1])
    trainer = write_model(tmp_path / "model", labels={f"lvl{n}": n for n in range(1, 10)})
    image = str(tmp_path / "t2.nii.gz")
    assert deepseg.main(["rootlets", "-i", image, "-model", str(trainer)]) == 0
    out = capsys.readouterr().out
    assert "note: no spinal cord was found in t2" in out
    assert "those of the whole field of view" in out
    labels = load_volume(tmp_path / "t2_rootlets.nii.gz").data
    np.testing.assert_array_equal(labels, predict(load_model(trainer), load_volume(image)))
    assert deepseg.main(["rootlets_cord", "-i", image, "-model", str(trainer), "-o", str(tmp_path / "b.nii.gz")]) == 1
    assert "no spinal cord was found" in capsys.readouterr().err


def test_a_model_of_cropped_images_sees_them_cropped(scan, tmp_path):
    trainer = write_model(tmp_path / "model", labels={f"lvl{n}": n for n in range(1, 10)})
    margins = {"superior": 5, "inferior": 5, "left": 12, "right": 12, "anterior": 10, "posterior": 9}
    (trainer.parent / "crop_metadata.json").write_text(json.dumps({f"pad_{side}": mm for side, mm in margins.items()}))
    with pytest.raises(ModelError, match="give the folder above"):
        load_model(trainer)
    network = load_model(trainer.parent)
    assert network.margins_mm == margins
    found = segment_rootlets(scan, settings=SegmentationSettings(model=trainer.parent, field_of_view="full"))
    box = box_around(found.cord, scan.affine, margins)
    outside = np.ones(scan.data.shape, dtype=bool)
    outside[box] = False
    assert not found.rootlets[outside].any()
    affine = scan.affine.copy()
    affine[:3, 3] = nib.affines.apply_affine(affine, [part.start for part in box])
    part = Volume(scan.data[box], affine)
    np.testing.assert_array_equal(found.rootlets[box], predict(network, part))
    assert any("cropped around the cord" in note for note in found.notes)
    (trainer.parent / "crop_metadata.json").write_text('{"pad_superior": 5}')
    with pytest.raises(ModelError, match="no margin in mm called pad_inferior"):
        load_model(trainer.parent)


def test_levels_of_one_image_are_those_of_the_model(scan, kept):
    subject = compute_spinal_levels(image=scan, settings=SegmentationSettings(model=ROOTLETS), find_discs=False)
    np.testing.assert_array_equal(subject.segmented["rootlets"].data, kept.rootlets)
    assert {level.name for level in subject.spinal.levels} == {level.name for level in kept.spinal.levels}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-names", "model"], "-names goes with -model"),
        (["-fov", "full"], "-fov goes with -model"),
        (["-model", "bundled", "-fov", "full"], "-fov goes with -model"),
        (["-model", str(ROOTLETS), "-names", "chain", "-fov", "full"], "-fov full goes with -names model"),
    ],
)
def test_options_of_another_model_need_one(phantom_files, options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        deepseg.main(["rootlets", "-i", str(phantom_files["image"]), *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_rootlets_of_c1_are_written_and_have_no_level(scan, tmp_path, monkeypatch, capsys):
    """Every published model has the class `lvl1`, and one voxel of it must not stop the levels."""

    def with_one_voxel_of_c1(*arguments, **options):
        labels = predict(*arguments, **options)
        labels[tuple(np.argwhere(labels)[0])] = 1
        return labels

    monkeypatch.setattr(own_labels, "predict", with_one_voxel_of_c1)
    save_volume(tmp_path / "t2.nii.gz", scan.data, scan.affine)
    command = ["-i", str(tmp_path / "t2.nii.gz"), "-model", str(ROOTLETS)]
    assert compute_main([*command, "-ofolder", str(tmp_path / "levels"), "-figure", "0", "-discs", "none"]) == 0
    assert "note: rootlets of C1 are left out" in capsys.readouterr().out


def test_what_is_wrong_with_an_image_is_said_also_with_another_model(tmp_path, capsys):
    data = np.random.default_rng(0).normal(100, 10, (40, 40, 40)).astype(np.float32)
    data[3, 3, 3] = np.nan
    save_volume(tmp_path / "t2.nii.gz", data, np.eye(4) * [2, 2, 2, 1])
    trainer = write_model(tmp_path / "model", labels={f"lvl{n}": n for n in range(1, 10)})
    assert deepseg.main(["rootlets", "-i", str(tmp_path / "t2.nii.gz"), "-model", str(trainer)]) == 1
    assert "holds NaN or infinite values" in capsys.readouterr().err


def test_what_ran_is_in_the_sidecar(scan, tmp_path):
    save_volume(tmp_path / "t2.nii.gz", scan.data, scan.affine)
    command = ["rootlets_roots", "-i", str(tmp_path / "t2.nii.gz"), "-model", str(ROOTLETS), "-v", "0"]
    has_bfloat16 = tiles.has_bfloat16(torch.device("cpu"))
    assert deepseg.main([*command, *(["-precision", "bfloat16"] if has_bfloat16 else [])]) == 0
    sidecar = json.loads((tmp_path / "t2_rootlets_roots.json").read_text())
    settings = sidecar["Settings"]
    assert (settings["Names"], settings["FieldOfView"]) == ("model", "cord")
    assert settings.get("Precision") == ("bfloat16" if has_bfloat16 else None)
    assert sidecar["Model"]["Name"] == "rootlets"
    values = np.unique(load_volume(tmp_path / "t2_rootlets_roots.nii.gz").data)
    assert {value % 10 for value in values[values > 0]} == {1, 2, 3, 4}


def test_bfloat16_is_refused_where_it_is_no_faster(phantom_files, monkeypatch, capsys):
    """A CPU without instructions for it takes minutes in place of seconds."""
    monkeypatch.setattr(tiles, "has_bfloat16", lambda _device: False)
    assert deepseg.main(["rootlets", "-i", str(phantom_files["image"]), "-precision", "bfloat16"]) == 1
    assert "error: this CPU has no instructions for bfloat16" in capsys.readouterr().err
