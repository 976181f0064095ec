"""Registration of phantoms whose levels are known."""

from dataclasses import replace

import numpy as np
import pytest
from known_levels import level_middles, position
from nibabel.affines import apply_affine

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.registration.fields import jacobian
from sct_rootlets.registration.to_template import register
from sct_rootlets.synthesis.cervical import cervical_anatomy

TEMPLATE = cervical_anatomy(bend_deg=0, sway_mm=0)


def test_levels_are_mapped_to_their_levels(drifted_phantom, drifted_registration):
    warp = drifted_registration.alignment.warp
    for name, arc in level_middles(drifted_phantom.anatomy).items():
        moved = warp.to_template(position(drifted_phantom.anatomy, arc))
        assert np.linalg.norm(moved - position(TEMPLATE, level_middles(TEMPLATE)[name])) < 0.6
        assert np.linalg.norm(warp.to_subject(moved) - position(drifted_phantom.anatomy, arc)) < 1e-6


def test_discs_are_mapped_to_their_discs_if_they_are_the_landmarks(drifted_phantom, template_folder):
    drawn = drifted_phantom
    found = register(
        drawn.image,
        cord=drawn.cord,
        rootlets=drawn.rootlets,
        discs=drawn.discs,
        template=template_folder,
        landmarks="discs",
    )
    warp = found.alignment.warp
    for value in range(2, 10):
        moved = warp.to_template(position(drifted_phantom.anatomy, drifted_phantom.anatomy.discs[value]))
        assert np.linalg.norm(moved - position(TEMPLATE, TEMPLATE.discs[value])) < 1.0
    arc = level_middles(drifted_phantom.anatomy)[
        "C5"
    ]  # which lies 5 mm lower than discs say, in the template's shorter millimetres
    off = warp.to_template(position(drifted_phantom.anatomy, arc)) - position(TEMPLATE, level_middles(TEMPLATE)["C5"])
    assert off[0, 2] == pytest.approx(-5 / 1.08, abs=0.8)


def test_levels_are_mapped_to_their_levels_with_discs_as_landmarks_too(template_folder):
    """A phantom whose levels lie against its discs as the template's do: both kinds agree to a millimetre."""
    anatomy = cervical_anatomy(bend_deg=14, sway_mm=4, scale=1.05)
    drawn = draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))
    found = register(
        cord=drawn.cord, rootlets=drawn.rootlets, discs=drawn.discs, template=template_folder, landmarks="both"
    )
    for name, arc in level_middles(anatomy).items():
        moved = found.alignment.warp.to_template(position(anatomy, arc))
        assert np.linalg.norm(moved - position(TEMPLATE, level_middles(TEMPLATE)[name])) < 0.5
    assert found.quality.least_jacobian > 0.6


def test_a_single_disc_is_enough_too(drifted_phantom, template_folder):
    single = replace(drifted_phantom.discs, data=np.where(drifted_phantom.discs.data == 5, 5, 0))
    found = register(cord=drifted_phantom.cord, discs=single, template=template_folder, landmarks="discs")
    moved = found.alignment.warp.to_template(position(drifted_phantom.anatomy, drifted_phantom.anatomy.discs[5]))
    assert np.linalg.norm(moved - position(TEMPLATE, TEMPLATE.discs[5])) < 1.0


def test_the_cord_is_mapped_to_the_cord_and_nothing_folds(drifted_registration):
    cord = drifted_registration.template_mask.data
    mask = replace(
        drifted_registration.alignment.subject_cord.mask,
        data=drifted_registration.alignment.subject_cord.mask.data.astype(np.float32),
    )
    moved = drifted_registration.resample_to_template(mask) >= 0.5
    z = np.flatnonzero((moved & cord).any(axis=(0, 1)))[4:-4]
    both = (moved & cord)[:, :, z].sum()
    assert 2 * both / (moved[:, :, z].sum() + cord[:, :, z].sum()) > 0.93  # of 1 mm voxels
    assert (
        jacobian(drifted_registration.warp_anat2template, drifted_registration.template_mask.affine)[
            8:-8, 8:-8, 8:-8
        ].min()
        > 0.3
    )


def test_the_fields_are_inverse_to_each_other(drifted_registration):
    points = apply_affine(
        drifted_registration.template_mask.affine, np.argwhere(drifted_registration.template_mask.data)[::50]
    )
    warp = drifted_registration.alignment.warp
    np.testing.assert_allclose(warp.to_template(warp.to_subject(points)), points, atol=1e-6)


def mirrored(volume: Volume) -> Volume:
    """The same voxels in the same world, stored from the other side: the sign of the determinant changes."""
    affine = volume.affine.copy()
    affine[:3, 3] = apply_affine(affine, [volume.data.shape[0] - 1, 0, 0])
    affine[:3, 0] *= -1
    return Volume(volume.data[::-1].copy(), affine, volume.name)


def test_the_sign_of_the_determinant_does_not_matter(drifted_phantom, drifted_registration, template_folder):
    cord, rootlets = mirrored(drifted_phantom.cord), mirrored(drifted_phantom.rootlets)
    assert np.linalg.det(cord.affine) * np.linalg.det(drifted_phantom.cord.affine) < 0
    found = register(cord=cord, rootlets=rootlets, template=template_folder)
    points = np.array([position(drifted_phantom.anatomy, arc)[0] + [4, 3, 0] for arc in (20.0, 60.0, 110.0)])
    np.testing.assert_allclose(
        found.alignment.warp.to_template(points), drifted_registration.alignment.warp.to_template(points), atol=0.01
    )


@pytest.mark.parametrize("turn_deg", [-30, 30])
def test_a_neck_turned_about_its_long_axis_is_mapped_alike(
    drifted_phantom, drifted_registration, template_folder, turn_deg
):
    angle = np.radians(turn_deg)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    cord, rootlets = (
        replace(volume, affine=turn @ volume.affine) for volume in (drifted_phantom.cord, drifted_phantom.rootlets)
    )
    found = register(cord=cord, rootlets=rootlets, template=template_folder)
    points = np.array([position(drifted_phantom.anatomy, arc)[0] + [4, 3, 0] for arc in (30.0, 60.0, 110.0)])
    mapped = found.alignment.warp.to_template(apply_affine(turn, points))
    expected = drifted_registration.alignment.warp.to_template(points)
    assert np.linalg.norm(mapped - expected, axis=1).max() < 0.6


@pytest.mark.parametrize("level", [4, 7])
def test_one_level_is_enough(drifted_phantom, template_folder, level):
    rootlets = replace(drifted_phantom.rootlets, data=np.where(drifted_phantom.rootlets.data == level, level, 0))
    found = register(cord=drifted_phantom.cord, rootlets=rootlets, template=template_folder)
    name = f"C{level}"
    moved = found.alignment.warp.to_template(
        position(drifted_phantom.anatomy, level_middles(drifted_phantom.anatomy)[name])
    )
    assert np.linalg.norm(moved - position(TEMPLATE, level_middles(TEMPLATE)[name])) < 0.8
    assert found.rows[0]["left_out_error_mm"] is None


def test_a_level_the_template_lacks_is_left_out(drifted_phantom, template_folder):
    data = np.where(drifted_phantom.rootlets.data == 9, 10, drifted_phantom.rootlets.data)
    found = register(
        cord=drifted_phantom.cord, rootlets=replace(drifted_phantom.rootlets, data=data), template=template_folder
    )
    assert "the template has no T2 (rootlets): left out" in found.notes
    assert [row["name"] for row in found.rows] == ["C2", "C3", "C4", "C5", "C6", "C7", "C8"]


def test_a_gap_in_the_mask_is_bridged_with_a_warning(drifted_phantom, drifted_registration, template_folder):
    """A lesion takes 8 mm of the cord between C5 and C6."""
    cut = drifted_phantom.cord.data.copy()
    line = drifted_phantom.anatomy.centerline
    arc = line.project(apply_affine(drifted_phantom.cord.affine, np.argwhere(cut))).arc
    cut[tuple(np.argwhere(cut)[(arc > 78) & (arc < 86)].T)] = 0
    found = register(
        cord=replace(drifted_phantom.cord, data=cut), rootlets=drifted_phantom.rootlets, template=template_folder
    )
    assert any("gaps" in note and "bridged" in note for note in found.notes)
    points = np.array([position(drifted_phantom.anatomy, arc)[0] + [3, 2, 0] for arc in (60.0, 82.0, 100.0)])
    np.testing.assert_allclose(
        found.alignment.warp.to_template(points), drifted_registration.alignment.warp.to_template(points), atol=0.5
    )


def test_a_mask_that_lacks_one_side_of_the_cord_is_noted_and_levels_stay(
    drifted_phantom, drifted_registration, template_folder
):
    """A lesion takes the right half of 8 mm of the cord: the middle of the cord seems to move, but levels do not."""
    cut = drifted_phantom.cord.data.copy()
    index = np.argwhere(cut)
    points = apply_affine(drifted_phantom.cord.affine, index)
    line = drifted_phantom.anatomy.centerline.project(points)
    cut[tuple(index[(line.arc > 78) & (line.arc < 86) & (points[:, 0] > line.foot[:, 0])].T)] = 0
    found = register(
        cord=replace(drifted_phantom.cord, data=cut), rootlets=drifted_phantom.rootlets, template=template_folder
    )
    assert any("the mask lacks the section" in note for note in found.notes)
    assert not any("lacks the section" in note for note in drifted_registration.notes)
    for name, arc in level_middles(drifted_phantom.anatomy).items():
        moved = found.alignment.warp.to_template(position(drifted_phantom.anatomy, arc))[0, 2]
        assert moved == pytest.approx(position(TEMPLATE, level_middles(TEMPLATE)[name])[0, 2], abs=0.6)


def test_a_cord_that_leaves_the_field_of_view_at_its_side_is_registered_with_a_warning(
    drifted_phantom, template_folder
):
    affine = drifted_phantom.cord.affine
    x = apply_affine(affine, np.argwhere(drifted_phantom.cord.data))[:, 0]
    axis = int(np.abs(affine[0, :3]).argmax())
    inside = apply_affine(affine, np.indices(drifted_phantom.cord.data.shape).reshape(3, -1).T)[:, 0] <= x.max() - 2
    keep = np.flatnonzero(inside.reshape(drifted_phantom.cord.data.shape).any(axis=tuple({0, 1, 2} - {axis})))
    part = [slice(None)] * 3
    part[axis] = slice(keep[0], keep[-1] + 1)
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, np.eye(3)[axis] * keep[0])
    cord, rootlets = (
        Volume(v.data[tuple(part)], moved, v.name) for v in (drifted_phantom.cord, drifted_phantom.rootlets)
    )
    found = register(cord=cord, rootlets=rootlets, template=template_folder)
    assert any("side of the field of view" in note for note in found.notes)
    moved_to = found.alignment.warp.to_template(
        position(drifted_phantom.anatomy, level_middles(drifted_phantom.anatomy)["C5"])
    )
    assert np.linalg.norm(moved_to - position(TEMPLATE, level_middles(TEMPLATE)["C5"])) < 1.5


def test_a_mask_with_negative_values_is_an_error(drifted_phantom, template_folder):
    cord = replace(drifted_phantom.cord, data=-drifted_phantom.cord.data.astype(np.int16))
    with pytest.raises(LabelError, match="negative values"):
        register(cord=cord, rootlets=drifted_phantom.rootlets, template=template_folder)


def test_labels_of_vertebral_bodies_in_place_of_discs_are_noted(phantom, template_folder):
    """As for levels: labels on the middle of the cord may be bodies, and those far in front of it are."""
    line = phantom_line(phantom)
    given = {"cord": phantom.cord, "template": template_folder, "landmarks": "discs"}
    assert not [note for note in register(**given, discs=phantom.discs).notes if "the disc labels lie" in note]
    for anterior_mm, said in ((0.0, "on the middle of the cord, where SCT puts"), (18.0, "18 mm from the middle")):
        discs = moved_discs(phantom, line, anterior_mm)
        (note,) = (note for note in register(**given, discs=discs).notes if "the disc labels lie" in note)
        assert said in note


def phantom_line(phantom):
    return fit_centerline(phantom.cord.data > 0, phantom.cord.affine)


def moved_discs(phantom, line, anterior_mm):
    """The phantom's disc labels at their heights, so far in front of the middle of the cord."""
    data = np.zeros_like(phantom.discs.data)
    for value in range(3, 9):
        point = apply_affine(phantom.discs.affine, np.argwhere(phantom.discs.data == value)[:1])
        place = line.project(point)
        _, _, anterior = line.frame(place.arc)
        index = apply_affine(np.linalg.inv(phantom.discs.affine), place.foot + anterior_mm * anterior)
        data[tuple(np.rint(index[0]).astype(int))] = value
    return replace(phantom.discs, data=data)
