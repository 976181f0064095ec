import json
import re
from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.measure.registration_quality import registration_flags
from sct_rootlets.output.phantoms import write_template
from sct_rootlets.registration.quality import Quality
from sct_rootlets.registration.to_template import register


@pytest.fixture(scope="module")
def registered(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return register(phantom.image, cord=phantom.cord, rootlets=phantom.rootlets, template=folder)


def with_quality(registered, dice, jacobian):
    found = replace(registered)
    found.__dict__["quality"] = Quality(dice, jacobian)
    return found


def test_a_good_registration_has_no_flag(registered):
    flags = {flag.key: flag for flag in registration_flags(registered)}
    assert {key: flag.state for key, flag in flags.items() if flag.state != "ok"} == {"missed": "none"}  # no discs
    worst = max((row["left_out_error_mm"] for row in registered.rows), key=abs)
    assert flags["leftout"].value == pytest.approx(worst, abs=0.01)
    assert flags["dice"].value == pytest.approx(registered.quality.cord_dice, abs=1e-3)


@pytest.mark.parametrize(
    ("dice", "jacobian", "states"),
    [
        (0.95, 0.5, ["ok", "ok"]),
        (0.85, 0.05, ["look", "look"]),
        (0.5, 0.0, ["bad", "bad"]),
        (0.9, np.inf, ["ok", "ok"]),
    ],
)
def test_poor_ones_have(registered, dice, jacobian, states):
    by_key = {flag.key: flag for flag in registration_flags(with_quality(registered, dice, jacobian))}
    flags = [by_key["dice"], by_key["jacobian"]]
    assert [flag.state for flag in flags] == states
    json.dumps([flag.value for flag in flags], allow_nan=False)


def test_a_single_landmark_predicts_nothing(registered):
    found = replace(registered)
    found.__dict__["rows"] = [{**registered.rows[0], "left_out_error_mm": None}]
    flags = {flag.key: flag for flag in registration_flags(found)}
    assert flags["leftout"].state == "none"
    name = registered.rows[0]["name"]
    assert (flags["landmarks"].state, flags["landmarks"].value) == ("look", 1)
    assert flags["landmarks"].note.startswith(
        f"landmarks used unusual: 1 ({name}): a single landmark gives the position along the cord and not the scale"
    )
    assert "label a second level or disc" in flags["landmarks"].note


def with_names(phantom, change):
    """The phantom's rootlets under other names."""
    data = phantom.rootlets.data.copy()
    for value, new in change.items():
        data[phantom.rootlets.data == value] = new
    return replace(phantom.rootlets, data=data)


def registered_by(phantom, folder, change, landmarks="rootlets"):
    return register(
        phantom.image,
        cord=phantom.cord,
        rootlets=with_names(phantom, change),
        discs=phantom.discs,
        template=folder,
        landmarks=landmarks,
    )


#: C5 called C6 and so on, and C5 called C4; and how far a registration by these rootlets misses the discs: a level.
ONE_OFF = [
    ({value: value + 1 for value in range(2, 9)} | {9: 0}, -15),
    ({value: value - 1 for value in range(3, 10)} | {2: 0}, 15),
]


def test_discs_that_the_registration_meets_are_no_flag(phantom, registered):
    found = registered_by(phantom, registered.template.folder, {})
    flags = {flag.key: flag for flag in registration_flags(found)}
    assert {flag.state for flag in flags.values()} == {"ok"}
    assert abs(flags["missed"].value) < 1
    assert flags["landmarks"].text == "8 (C2–T1)"


@pytest.mark.parametrize(("change", "seems_mm"), ONE_OFF)
@pytest.mark.parametrize(("landmarks", "sign", "kind"), [("rootlets", 1, "discs"), ("discs", -1, "rootlets")])
def test_landmarks_that_the_registration_misses_tell_that_names_are_one_off(
    phantom, registered, change, seems_mm, landmarks, sign, kind
):
    one_off = registered_by(phantom, registered.template.folder, change, landmarks)
    flag = {flag.key: flag for flag in registration_flags(one_off)}["missed"]
    assert flag.state == "bad"
    assert flag.value == pytest.approx(sign * seems_mm, abs=3)  # the pitch of the levels
    assert re.fullmatch(rf"[+-]1\d\.\d  median of \d {kind}", flag.text)
    assert "off by a level" in flag.note


@pytest.mark.parametrize(
    ("offset_mm", "state"), [(0, "ok"), (7.2, "ok"), (-7.2, "ok"), (7.3, "look"), (-10.8, "look"), (-11.0, "bad")]
)
def test_the_limits_are_half_a_level_and_three_quarters(registered, offset_mm, state):
    """Discs at a known distance from where the map places them; one that is a level off does not count."""
    from sct_rootlets.registration.landmarks import Landmark
    from sct_rootlets.registration.pairs import Pair

    arc_map = registered.alignment.warp.arc_map
    arcs = (60.0, 75.0, 90.0)
    template = [Landmark(kind="discs", value=n, name=str(n), arc_mm=arc, sd_mm=0.3) for n, arc in enumerate(arcs)]
    offsets = (offset_mm, offset_mm, offset_mm + 15)
    subject = [
        replace(one, arc_mm=float(arc_map(one.arc_mm)) - offset) for one, offset in zip(template, offsets, strict=True)
    ]
    pairs = tuple(Pair(*both, used=False) for both in zip(template, subject, strict=True))
    found = replace(registered, alignment=replace(registered.alignment, pairs=(*registered.alignment.pairs, *pairs)))
    flag = {flag.key: flag for flag in registration_flags(with_quality(found, 0.95, 0.5))}["missed"]
    assert (flag.state, flag.value) == (state, pytest.approx(offset_mm, abs=0.01))


def test_levels_out_of_order_are_implausible(phantom, registered):
    swapped = registered_by(phantom, registered.template.folder, {4: 5, 5: 4})
    flag = {flag.key: flag for flag in registration_flags(swapped)}["order"]
    assert (flag.state, flag.text) == ("bad", "C5 above C4")


def without_right_half(phantom):
    """The phantom's cord mask without the voxels right of its middle, slice by slice."""
    from nibabel.affines import apply_affine

    from sct_rootlets.centerline import fit_centerline

    mask = phantom.cord.data > 0
    voxels = np.argwhere(mask)
    _, right_mm, _ = fit_centerline(mask, phantom.cord.affine).across(apply_affine(phantom.cord.affine, voxels))
    mask[tuple(voxels[right_mm > 0].T)] = False
    return replace(phantom.cord, data=mask.astype(np.uint8))


@pytest.mark.parametrize("landmarks", ["rootlets", "discs", "one disc"])
def test_half_a_cord_mask_is_implausible(phantom, registered, landmarks):
    """Whatever the landmarks: the warp lays the whole cord of the template on this half, and the cords overlap well."""
    given = {"rootlets": phantom.rootlets}
    if landmarks != "rootlets":
        kept = phantom.discs.data * (phantom.discs.data == 5) if landmarks == "one disc" else phantom.discs.data
        given = {"discs": replace(phantom.discs, data=kept)}
    found = register(
        phantom.image,
        cord=without_right_half(phantom),
        template=registered.template.folder,
        landmarks=landmarks.split()[-1].removesuffix("s") + "s",
        **given,
    )
    flags = {flag.key: flag for flag in registration_flags(found)}
    assert flags["dice"].state == "ok"
    assert flags["mask"].state == "bad"
    assert "half of the cord missing" in flags["mask"].note
    assert ("order" in flags) == ("level_length" in flags) == (landmarks == "rootlets")


def test_a_mask_with_a_gap_and_one_beside_the_rootlets_are_unusual(phantom, registered):
    gap = phantom.cord.data.copy()
    along = int(np.argmax(np.abs(phantom.cord.affine[2, :3])))
    middle = gap.shape[along] // 2
    gap[(slice(None),) * along + (slice(middle - 6, middle + 6),)] = 0
    aside = np.roll(phantom.cord.data, 3, axis=int(np.argmax(np.abs(phantom.cord.affine[0, :3]))))
    for data, said in ((gap, "missing over "), (aside, "the middle of the rootlets lies ")):
        found = register(
            phantom.image,
            cord=replace(phantom.cord, data=data),
            rootlets=phantom.rootlets,
            template=registered.template.folder,
        )
        flag = {flag.key: flag for flag in registration_flags(found)}["mask"]
        assert flag.state == "look"
        assert said in flag.text


def test_levels_of_impossible_length_are_implausible(phantom, registered):
    """A header whose voxels are three times too long: the map stretches the cord as far, and misses no landmark."""
    affine = phantom.cord.affine.copy()
    affine[2] *= 3
    long = {name: replace(getattr(phantom, name), affine=affine) for name in ("image", "cord", "rootlets")}
    image = long.pop("image")
    flags = {
        flag.key: flag for flag in registration_flags(register(image, **long, template=registered.template.folder))
    }
    assert flags["level_length"].state == "bad"
