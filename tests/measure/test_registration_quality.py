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
    flags = registration_flags(with_quality(registered, dice, jacobian))[1:]
    assert [flag.state for flag in flags] == states
    json.dumps([flag.value for flag in flags], allow_nan=False)


def test_a_single_landmark_predicts_nothing(registered):
    found = replace(registered)
    found.__dict__["rows"] = [{**registered.rows[0], "left_out_error_mm": None}]
    assert registration_flags(found)[0].state == "none"
