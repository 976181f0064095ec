import json
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
    assert {flag.state for flag in flags.values()} == {"ok"}
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
    assert (flags["landmarks"].state, flags["landmarks"].value) == ("look", 1)


def with_names(phantom, change):
    """The phantom's rootlets under other names."""
    data = phantom.rootlets.data.copy()
    for value, new in change.items():
        data[phantom.rootlets.data == value] = new
    return replace(phantom.rootlets, data=data)


def registered_by(phantom, folder, change):
    return register(
        phantom.image, cord=phantom.cord, rootlets=with_names(phantom, change), discs=phantom.discs, template=folder
    )


def test_discs_that_the_registration_misses_tell_that_names_are_one_off(phantom, registered):
    folder = registered.template.folder
    right = {flag.key: flag for flag in registration_flags(registered_by(phantom, folder, {}))}
    assert right["others"].state == "ok"
    assert abs(right["others"].value) < 1
    one_off = registered_by(phantom, folder, {value: value + 1 for value in range(2, 9)} | {9: 0})
    flag = {flag.key: flag for flag in registration_flags(one_off)}["others"]
    assert flag.state == "bad"
    assert flag.value == pytest.approx(-15, abs=3)  # the pitch of the levels


def test_levels_out_of_order_are_implausible(phantom, registered):
    swapped = registered_by(phantom, registered.template.folder, {4: 5, 5: 4})
    flag = {flag.key: flag for flag in registration_flags(swapped)}["order"]
    assert (flag.state, flag.text) == ("bad", "C5 above C4")
