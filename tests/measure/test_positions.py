"""Places along the cord that measures give, against the level table: straight, curved and oblique cords."""

from dataclasses import replace

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.measure.cord_levels import Shown, TableLevel, find_table_start, read_cord_levels
from sct_rootlets.measure.lesions import measure_lesions
from sct_rootlets.measure.scan import measure_scan
from sct_rootlets.measure.shape import measure_slices, shape_by_level
from sct_rootlets.output.measures import lesion_rows, shape_rows
from sct_rootlets.subject import Inputs, levels_from_labels

LENGTH_MM = 110.0


def neck(slice_mm, offset=0.0, radius_mm=np.inf, turn_deg=(0, 0, 0)):
    """Levels of a cord of 12 by 8 mm in the sagittal plane, straight or bent, on slices that lie `offset` off.

    Rootlets of C3 to C7 are 10 mm long, 15 mm apart; discs lie 7 mm in front, one in each vertebra of 15 mm.
    """
    voxel = np.array([0.8, 0.8, slice_mm])
    half = np.array([14.0, 22.0 if np.isfinite(radius_mm) else 14.0, LENGTH_MM / 2 + 12])
    if any(turn_deg):
        half += [8, 8, 0]
    shape = tuple(np.ceil(2 * half / voxel).astype(int))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() @ np.diag(voxel)
    affine[:3, 3] = affine[:3, :3] @ ((1 - np.array(shape)) / 2 + [0, 0, offset])
    x, y, z = np.moveaxis(apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    if np.isfinite(radius_mm):
        arc, front = (-np.arctan2(z, y + radius_mm) * radius_mm, np.hypot(y + radius_mm, z) - radius_mm)
    else:
        arc, front = -z, y
    arc = arc + LENGTH_MM / 2
    cord = (np.hypot(x / 6, front / 4) <= 1) & (arc >= 0) & (arc <= LENGTH_MM)
    rootlets, discs, pmj = (np.zeros(shape, dtype=np.uint8) for _ in range(3))
    beside = (abs(abs(x) - 6.3) <= 1.2) & (abs(abs(front) - 1.6) <= 1.4) & ~cord
    for number in range(5):
        rootlets[beside & (abs(arc - 24 - 15 * number) <= 5)] = 3 + number

    def mark(labels, value, at_mm, front_mm):
        away = x**2 + (front - front_mm) ** 2 + (arc - at_mm) ** 2
        labels[np.unravel_index(away.argmin(), shape)] = value

    for number in range(6):
        mark(discs, 3 + number, 17 + 15 * number, 7)
    mark(pmj, 50, 4, 8)
    volumes = {"cord": cord.astype(np.uint8), "rootlets": rootlets, "discs": discs, "pmj": pmj}
    inputs = Inputs(**{name: Volume(data, affine, f"{name}.nii.gz") for name, data in volumes.items()})
    return levels_from_labels(inputs, method="extent")


def table_of(subject, moved=None):
    """The level table of a subject, with the three decimals of its file; levels are moved by mm."""
    moved = moved or {}
    return {
        (row["kind"], row["name"]): TableLevel(
            rostral_mm=round(row["rostral_mm"], 3) + moved.get(row["name"], 0),
            caudal_mm=round(row["caudal_mm"], 3) + moved.get(row["name"], 0),
            rostral_sd_mm=0.3,
            caudal_sd_mm=0.3,
            complete=bool(row["complete"]),
        )
        for row in subject.levels.to_dict("records")
    }


ALL = slice(None)


def read_back(subject, table=None, rows=ALL, mask=None):
    """Read maps and mask of a subject, or some of their slices, with the table of all."""
    affine = subject.cord.affine.copy()
    affine[:3, 3] = apply_affine(affine, [0, 0, rows.start or 0])
    maps = {
        levels.kind: Volume(subject.level_map(levels.kind)[:, :, rows], affine, f"{levels.kind}.nii.gz")
        for levels in subject.kinds
    }
    data = (subject.cord.data if mask is None else mask).astype(np.uint8)[:, :, rows]
    return read_cord_levels(maps, Volume(data, affine, "cord.nii.gz"), table or table_of(subject), "PMJ")


@pytest.mark.parametrize("offset", [0.0, 0.2, 0.5, 0.85])
@pytest.mark.parametrize("slice_mm", [1, 3, 4, 5])
def test_distances_are_those_of_the_level_table(slice_mm, offset):
    """Rootlets end at faces of slices, so that the slices of a level have the midpoint of the level as theirs."""
    subject = neck(slice_mm, offset)
    cord = read_back(subject)
    assert cord.reference_mm == pytest.approx(subject.reference.arc_mm, abs=0.01)
    table = subject.levels.query("kind == 'spinal'").set_index("name")
    rows = {row["name"]: row for row in shape_rows(measure_scan(cord)) if row["kind"] == "spinal"}
    assert list(rows) == ["C3", "C4", "C5", "C6", "C7"]
    for name, row in rows.items():
        assert row["DistancePMJ"] == pytest.approx(table.loc[name, "midpoint_mm"], abs=0.05)
        assert row["SUM(length)"] == pytest.approx(table.loc[name, "length_mm"], abs=0.05)
        assert row["complete"]


@pytest.mark.parametrize("slice_mm", [1, 4, 5])
@pytest.mark.parametrize("kinds", ["spinal", "vertebral"])
def test_one_kind_of_level_is_enough(kinds, slice_mm):
    subject = neck(slice_mm, 0.3)
    subject = replace(subject, **{"vertebral" if kinds == "spinal" else "spinal": None})
    assert read_back(subject).reference_mm == pytest.approx(subject.reference.arc_mm, abs=0.01)


@pytest.mark.parametrize("slice_mm", [3, 5])
def test_slices_that_lie_at_a_small_angle_to_the_cord(slice_mm):
    """The greatest errors: voxels of a slice are too near to one another along the cord to tell its place well."""
    subject = neck(slice_mm, 0.3, turn_deg=(12, 0, 0))
    assert read_back(subject).reference_mm == pytest.approx(subject.reference.arc_mm, abs=0.6)


@pytest.mark.parametrize("turn_deg", [(0, 0, 0), (20, 0, 0), (15, 10, 5)], ids=str)
@pytest.mark.parametrize(("slice_mm", "radius_mm"), [(1, 120), (4, 120), (3, np.inf)])
def test_curved_and_oblique_cords(slice_mm, radius_mm, turn_deg):
    subject = neck(slice_mm, 0.3, radius_mm, turn_deg)
    cord = read_back(subject)
    assert cord.reference_mm == pytest.approx(subject.reference.arc_mm, abs=0.1)  # 0.01 but for one of them
    assert all(level.complete and not level.is_cut for level in cord.levels["spinal"])
    assert cord.notes == ()


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("slice_mm", [1, 3, 4, 5])
def test_a_lesion_that_fills_a_level_lies_in_it_alone(slice_mm, offset):
    subject = neck(slice_mm, offset)
    cord = read_back(subject)
    inside = cord.maps["spinal"].data == 5
    mask = inside & (np.abs(np.arange(inside.shape[0]) - inside.shape[0] // 2) < 3)[:, None, None]
    (lesion,), levels = measure_lesions(mask, cord.cord.affine, cord)
    table = table_of(subject)
    own = table["spinal", "C5"]
    assert lesion.rostral_mm - cord.reference_mm == pytest.approx(own.rostral_mm, abs=0.02)
    assert lesion.caudal_mm - cord.reference_mm == pytest.approx(own.caudal_mm, abs=0.02)
    shares = {level: part / lesion.volume_mm3 for level, part in lesion.volumes_mm3.items()}
    assert {level.name: share for level, share in shares.items() if level.kind == "spinal"} == {"C5": pytest.approx(1)}
    for level, share in shares.items():
        entry = table[level.kind, level.name]
        overlap = min(own.caudal_mm, entry.caudal_mm) - max(own.rostral_mm, entry.rostral_mm)
        assert share == pytest.approx(overlap / (own.caudal_mm - own.rostral_mm), abs=0.01)
    (found,) = [found for found in levels if found.level.name == "C5" and found.level.kind == "spinal"]
    assert found.length_mm == pytest.approx(own.caudal_mm - own.rostral_mm, abs=0.02)
    assert found.volume_share == pytest.approx(mask.sum() / inside.sum(), rel=1e-6)
    (row,) = lesion_rows(replace(measure_scan(cord), lesions=[lesion], level_lesions=levels))
    assert row["SpinalLevel"] == "C5 100%"


@pytest.mark.parametrize("radius_mm", [np.inf, 120])
def test_a_level_that_was_moved_in_the_table_is_found(radius_mm):
    subject = neck(1, 0.3, radius_mm)
    with pytest.raises(LabelError, match=r"up to [34]\.\d mm apart: they are not of the same run, or one was edited"):
        read_back(subject, table_of(subject, {"C5": 4}))
    (note,) = read_back(subject, table_of(subject, {"C5": -2.6})).notes
    assert note.startswith("the level table and the level maps are up to ")
    assert "spinal C5" in note or "vertebral C5" in note
    with pytest.raises(LabelError, match="not of the same run"):
        read_back(subject, {key: replace(row, caudal_mm=row.caudal_mm - 4) for key, row in table_of(subject).items()})


def test_levels_of_which_slices_were_cut_away_are_not_complete():
    """C3 begins 19 mm below the top of the cord, and C7 ends 89 mm below it: 4 and 5 mm of them are cut away."""
    subject = neck(1, 0.0)
    z = (subject.cord.affine @ [0, 0, 1, 0])[2] * np.arange(subject.cord.data.shape[2]) + subject.cord.affine[2, 3]
    depth = LENGTH_MM / 2 - z
    (rows,) = [np.flatnonzero((depth > 23) & (depth < 84))]
    cord = read_back(subject, rows=slice(rows[0], rows[-1] + 1))
    spinal = {level.name: level for level in cord.levels["spinal"]}
    assert [name for name, level in spinal.items() if level.is_cut] == ["C3", "C7"]
    assert spinal["C3"].shown_mm == pytest.approx(6, abs=0.6)
    assert spinal["C7"].shown_mm == pytest.approx(5, abs=0.6)
    shown = {shape.level.name: shape for shape in shape_by_level(measure_slices(cord.cord), cord)[:5]}
    for name in ("C4", "C5", "C6"):
        assert shown[name].level.complete
        assert shown[name].remarks == ()
    for name in ("C3", "C7"):
        assert shown[name].level.complete is False
        assert shown[name].length_mm == pytest.approx(spinal[name].shown_mm, abs=0.1)
        assert shown[name].remarks == (
            f"the level map and the cord mask show {spinal[name].shown_mm:.1f} of 10.0 mm of the level",
        )
    (note,) = cord.notes
    assert "spinal C3 6" in note or "spinal C3 5" in note
    # Their ends are known: positions are those of the whole scan.
    whole = read_back(subject)
    first = depth[rows].min() - 0.5
    for name, level in spinal.items():
        (same,) = [other for other in whole.levels["spinal"] if other.name == name]
        assert level.rostral_mm == pytest.approx(same.rostral_mm - first, abs=0.05)
    assert cord.vertebral_coordinate(np.array([1.0])) == pytest.approx(
        whole.vertebral_coordinate(np.array([1.0 + first])), abs=0.01
    )


def test_a_mask_that_shows_less_than_the_map_is_said():
    subject = neck(1, 0.0)
    depth = LENGTH_MM / 2 - (subject.cord.affine[2, 3] + np.arange(subject.cord.data.shape[2]))
    cord = read_back(subject, mask=subject.cord.data & (depth > 24) & (depth < 110))
    cut = [(level.kind, level.name) for level in cord.all_levels if level.is_cut]
    assert ("spinal", "C3") in cut
    assert ("spinal", "C4") not in cut


def test_a_map_without_a_table_has_ends_at_faces_of_voxels():
    subject = neck(4, 0.0)
    levels = read_cord_levels(
        {"spinal": Volume(subject.level_map("spinal"), subject.cord.affine)},
        Volume(subject.cord.data.astype(np.uint8), subject.cord.affine),
    ).levels["spinal"]
    for level, expected in zip(levels, subject.spinal.levels, strict=True):
        assert level.rostral_mm == pytest.approx(expected.rostral_mm, abs=0.01)
        assert level.caudal_mm == pytest.approx(expected.caudal_mm, abs=0.01)


def test_where_the_start_is_expected_it_is_if_the_voxels_do_not_contradict():
    subject = neck(5, 0.0)
    cord = read_back(subject)
    start = subject.reference.arc_mm
    level = cord.levels["spinal"][2]
    table = table_of(subject)["spinal", "C5"]
    seen = Shown(
        first_mm=table.rostral_mm + start + 2.5,
        last_mm=table.caudal_mm + start - 2.5,
        first_in_cord_mm=0,
        last_in_cord_mm=0,
        voxel_mm=5,
    )
    assert find_table_start([(level, seen, table)])[0] == pytest.approx(start)
    maps = {"spinal": Volume(subject.level_map("spinal"), subject.cord.affine)}
    mask = Volume(subject.cord.data.astype(np.uint8), subject.cord.affine)
    for recorded, expected in ((start + 1.2, start + 1.2), (start + 9, start), (None, start)):
        read = read_cord_levels(maps, mask, table_of(subject), "PMJ", recorded)
        assert read.reference_mm == pytest.approx(expected, abs=0.01)
    assert find_table_start([(level, seen, table)], start - 2)[0] == pytest.approx(start - 2)
    assert find_table_start([(level, seen, table)], start - 3)[0] == pytest.approx(start)


def test_levels_that_the_table_does_not_have_are_not_complete():
    subject = neck(3, 0.0)
    table = table_of(subject)
    del table["spinal", "C5"]
    cord = read_back(subject, table)
    assert [level.name for level in cord.levels["spinal"] if not level.complete] == ["C5"]
    (note,) = cord.notes
    assert note.startswith("the level maps show levels that the level table does not have (spinal C5): ")
