"""The bundled model on synthetic scans with known truth; how well it does at large is in the model card."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from scans import anatomy_of, middles_of, scan_of

from sct_rootlets import compute_spinal_levels
from sct_rootlets.errors import ImageError
from sct_rootlets.image import Volume
from sct_rootlets.levels import ROOTS, Level
from sct_rootlets.segmentation.assign import assign_levels
from sct_rootlets.segmentation.load import load_segmenter
from sct_rootlets.segmentation.tiles import tile_starts


@pytest.fixture(scope="module")
def segmenter():
    return load_segmenter()


@pytest.fixture(scope="module")
def anatomy():
    return anatomy_of()


@pytest.fixture(scope="module")
def scan(anatomy):
    return scan_of(anatomy)


@pytest.fixture(scope="module")
def found(segmenter, scan):
    return segmenter(scan[0])


def middles_found(segmentation, anatomy):
    """Arc length, in the anatomy's own centerline, of the middle of each stretch."""
    values = [level.value for level in segmentation.spinal.levels]
    arcs = [level.midpoint_mm for level in segmentation.spinal.levels]
    points = segmentation.centerline.position(arcs)
    return dict(zip(values, anatomy.centerline.project(points).arc.tolist(), strict=True))


def test_levels_have_their_names_and_places(found, anatomy):
    truth = middles_of(anatomy)
    middles = middles_found(found, anatomy)
    assert set(range(3, 9)) <= set(middles)
    for value, middle in middles.items():
        assert middle == pytest.approx(truth[value], abs=2.5)


def test_rootlets_lie_where_they_are(found, scan):
    ours, truth = found.rootlets > 0, scan[1].data > 0
    assert 2 * (ours & truth).sum() / (ours.sum() + truth.sum()) > 0.5
    assert set(np.unique(found.roots)) == {0, 1, 2, 3, 4}
    assert ((found.roots > 0) == ours).all()


def test_roots_are_on_their_sides(found, scan, anatomy):
    """The image's first axis leads to the right, its second to the front."""
    points = nib.affines.apply_affine(scan[0].affine, np.argwhere(found.roots > 0))
    foot = anatomy.centerline.project(points)
    _, right, anterior = anatomy.centerline.frame(foot.arc)
    offset = points - foot.foot
    roots = found.roots[found.roots > 0]
    aside, ahead = (offset * right).sum(axis=1), (offset * anterior).sum(axis=1)
    for index, root in enumerate(ROOTS, start=1):
        assert np.median(aside[roots == index]) * (-1 if root.startswith("left") else 1) > 3
    assert np.median(ahead[np.isin(roots, (3, 4))]) > np.median(ahead[np.isin(roots, (1, 2))]) + 1


@pytest.mark.parametrize("axes", ["PSR", "LPI"])
def test_the_axis_order_makes_no_difference(segmenter, scan, found, axes):
    image = nib.Nifti1Image(scan[0].data, scan[0].affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(scan[0].affine), nib.orientations.axcodes2ornt(axes))
    turned = image.as_reoriented(turn)
    again = segmenter(Volume(np.asarray(turned.dataobj), turned.affine, "turned"))
    expected = nib.Nifti1Image(found.rootlets, scan[0].affine).as_reoriented(turn)
    np.testing.assert_array_equal(again.rootlets, np.asarray(expected.dataobj))


def midpoints(image, segmentation, anatomy):
    """Arc length, in the anatomy's own centerline, of the midpoint of each level's rootlets."""
    rootlets, cord = (segmentation.rootlets, image.affine), (segmentation.cord, image.affine)
    subject = compute_spinal_levels(rootlets, cord=cord, method="extent")
    levels = subject.spinal.levels
    points = subject.centerline.position([level.midpoint_mm for level in levels])
    return dict(zip([level.value for level in levels], anatomy.centerline.project(points).arc.tolist(), strict=True))


@pytest.fixture(scope="module", params=[-5.0, 5.0])
def shifts(request, segmenter, anatomy, scan, found):
    """How far each level moves, beyond 5 mm, when all rootlets move by 5 mm and the vertebrae do not."""
    image = scan_of(anatomy_of(drift_mm=request.param))[0]
    before, after = midpoints(scan[0], found, anatomy), midpoints(image, segmenter(image), anatomy)
    return {value: after[value] - before[value] - request.param for value in set(before) & set(after)}


def test_rootlets_decide_where_levels_are(shifts):
    """C3 to T1 keep their names, and move with their rootlets; C2 is at the end of the field of view."""
    assert set(range(3, 10)) <= set(shifts)
    off = np.abs([shifts[value] for value in range(3, 10)])
    assert off.max() < 1.5
    assert np.count_nonzero(off <= 1.0) >= 5


@pytest.mark.xfail(reason="with the bundled model, some levels are 1.0-1.5 mm off, and C2 at the end of the view more")
def test_levels_move_with_their_rootlets_within_a_millimetre(shifts):
    assert max(map(abs, shifts.values())) <= 1.0


def test_without_rootlets_there_are_no_levels(segmenter, anatomy):
    blank = segmenter(scan_of(replace(anatomy, fila=()))[0])
    assert blank.spinal.levels == ()
    assert blank.levels.empty
    assert not blank.rootlets.any()
    assert "no rootlets" in blank.notes[0]


def test_windows_give_the_same_names(segmenter, scan):
    """60 and 90 mm of two scans: nine of ten are named rightly, and none wrongly at a confidence of 0.9 or more."""
    right = []
    for image, truth in (scan, scan_of(anatomy_of(seed=1))):
        for start, length in ((20, 60), (60, 60), (80, 60), (20, 90), (50, 90)):
            affine = image.affine.copy()
            affine[2, 3] += start
            window = segmenter(Volume(image.data[:, :, start : start + length], affine, "window"))
            whole = truth.data[:, :, start : start + length]
            both = (window.rootlets > 0) & (whole > 0)
            assert both.sum() > 100
            right.append((window.rootlets[both] == whole[both]).mean() > 0.9)
            assert right[-1] or all(level.confidence < 0.9 for level in window.spinal.levels)
    assert sum(right) >= 9


def test_discs_choose_names_and_not_places(segmenter, scan, found, anatomy):
    """Discs that are numbered one too high rename every level, say so, and move nothing."""
    wrong = {value + 1: anatomy.centerline.position(anatomy.discs[value])[0] for value in range(2, 9)}
    right = {value: anatomy.centerline.position(anatomy.discs[value])[0] for value in range(2, 9)}
    same = segmenter(scan[0], discs=right)
    np.testing.assert_array_equal(same.rootlets > 0, found.rootlets > 0)
    assert same.name_sources == ("vertebrae", "thickness", "segments", "rootlets")
    assert {disc.value for disc in same.discs if disc.source == "given"} == set(right)
    renamed = segmenter(scan[0], discs=wrong)
    assert renamed.name_sources == ("discs",)
    assert any("come from the discs" in note for note in renamed.notes)
    names = {level.value: level.midpoint_mm for level in same.spinal.levels}
    for level in renamed.spinal.levels:
        assert names.get(level.value - 1, level.midpoint_mm) == pytest.approx(level.midpoint_mm, abs=2)


def test_one_disc_is_enough(segmenter, scan, anatomy):
    """It fixes the numbers; the others in view are found where they are."""
    found = segmenter(scan[0], discs={6: anatomy.centerline.position(anatomy.discs[6])[0]})
    assert found.numbering.is_given
    sources = {disc.value: disc.source for disc in found.discs}
    assert sources.pop(6) == "given"
    assert set(sources.values()) == {"image"}
    for disc in found.discs:
        off = anatomy.centerline.project(found.centerline.position(disc.arc_mm)).arc[0] - anatomy.discs[disc.value]
        assert abs(off) < 4
    assert found.levels.name.tolist() == segmenter(scan[0]).levels.name.tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.full((40, 40, 40), 7, np.int16), "shows nothing: all its voxels are about 7"),
        (np.random.default_rng(0).normal(0, 100, (48, 48, 48)).astype(np.int16), "no spinal cord was found"),
        (np.full((40, 40, 40), np.nan, np.float32), "holds NaN"),
    ],
)
def test_images_without_a_cord_are_refused(segmenter, data, message):
    with pytest.raises(ImageError, match=message):
        segmenter(Volume(data, np.eye(4), "t2.nii.gz"))


def test_huge_numbers_are_no_reason(segmenter, scan):
    """The square of 1e33 is beyond single precision, its scan is not."""
    huge = segmenter(replace(scan[0], data=scan[0].data.astype(np.float64) * 1e30))
    np.testing.assert_array_equal(huge.rootlets, segmenter(scan[0]).rootlets)


def test_tiles_cover_the_curve_and_what_is_around_it():
    along = np.linspace(0, 399, 800)
    points = np.stack([along, 60 + 40 * np.sin(along / 120), np.full(800, 30.0)], axis=1)
    reach = np.array([10.0, 12.0, 12.0])
    shape, patch = (400, 140, 60), (64, 48, 48)
    covered = np.zeros(shape, dtype=bool)
    for start in tile_starts(points, shape, patch, reach):
        assert all(0 <= a <= n - size for a, n, size in zip(start, shape, patch, strict=True))
        covered[tuple(slice(a, a + size) for a, size in zip(start, patch, strict=True))] = True
    for point in points[::10]:
        low, high = np.maximum(np.subtract(point, [0, 12, 12]), 0).astype(int), np.add(point, [0, 12, 12]).astype(int)
        assert covered[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))].all()


def test_a_voxel_has_the_level_of_where_its_root_attaches(found):
    """A root that descends beside its neighbour's attachment keeps its own name."""
    line = found.centerline
    upper, lower = Level(4, "spinal", 30.0, 41.0, 0.5, 0.5), Level(5, "spinal", 46.0, 57.0, 0.5, 0.5)
    arc = np.linspace(upper.caudal_mm - 2, lower.rostral_mm + 6, 15)
    _, right, _ = line.frame(arc)
    points = line.position(arc) + right * np.linspace(6, 14, 15)[:, None]
    values = assign_levels(points, np.linspace(0, 8, 15), np.ones(15, dtype=int), line, (upper, lower))
    assert (values == upper.value).all()
