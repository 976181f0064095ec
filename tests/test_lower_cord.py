"""Levels of a cord from T11 to S2, of maps that are given, with discs or the conus as reference."""

import re

import numpy as np
import pytest

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.subject import Inputs, levels_from_labels

#: T11 to S2, each of ten slices of 1 mm, the rootlets in the lower six of them; the conus twelve slices below S2.
FIRST, LAST, TOP, LENGTH = 19, 27, 120, 10
CONUS_SLICE = TOP - LENGTH * (LAST - FIRST + 1) - 12
SHAPE = (21, 21, 130)


def lower_cord(discs):
    """Inputs with some disc labels, by value and slice."""
    cord, rootlets, points = (np.zeros(SHAPE, dtype=np.uint8) for _ in range(3))
    cord[6:15, 7:14, CONUS_SLICE:] = 1
    for number, value in enumerate(range(FIRST, LAST + 1)):
        top = TOP - number * LENGTH
        for x in (4, 15):
            for y in (6, 13):
                rootlets[x : x + 2, y : y + 2, top - LENGTH : top - 4] = value
    for value, k in discs.items():
        points[10, 10 if value == 60 else 1, k] = value
    data = {"cord": cord, "rootlets": rootlets, "discs": points}
    return Inputs(**{name: Volume(array, np.eye(4), name) for name, array in data.items()})


def test_positions_count_from_the_conus():
    """As in SCT's tutorial of lumbar registration: one disc (17, beyond this cord) and the conus (60)."""
    subject = levels_from_labels(lower_cord({19: 100, 60: CONUS_SLICE}))
    assert subject.reference.name == "conus"
    assert [level.name for level in subject.spinal.levels] == [
        "T11",
        "T12",
        *(f"L{n}" for n in range(1, 6)),
        "S1",
        "S2",
    ]
    assert subject.vertebral is None
    assert "no two neighbouring discs are labelled: vertebral levels are left out" in subject.notes
    table = subject.levels.set_index("name")
    for number, name in enumerate(table.index):
        slices_above = TOP - (number + 1) * LENGTH - CONUS_SLICE
        assert table.loc[name, "caudal_mm"] == pytest.approx(-slices_above, abs=1)
    assert not [flag for flag in subject.flags if flag.state == "bad"]
    assert [flag.text for flag in subject.flags if flag.key in ("deviation", "level_length")] == ["–", "–"]


def test_positions_count_from_disc_t12_l1_and_no_levels_are_paired_as_shifted():
    subject = levels_from_labels(lower_cord({18: 118, 19: 95, 20: 70, 21: 45}))
    assert subject.reference.name == "disc T12/L1"
    assert [level.name for level in subject.vertebral.levels] == ["T11", "T12", "L1"]
    assert {pair.pairing for pair in subject.pairs} == {"same-name"}
    assert {pair.name for pair in subject.pairs} == {"T11-T11", "T12-T12", "L1-L1"}
    assert subject.levels.set_index(["kind", "name"]).loc[("vertebral", "L1"), "rostral_mm"] == pytest.approx(
        0, abs=1e-6
    )


def test_a_conus_alone_needs_rootlets():
    inputs = lower_cord({60: CONUS_SLICE})
    assert levels_from_labels(inputs).reference.name == "conus"
    with pytest.raises(LabelError, match="0 disc labels beside the cord mask"):
        levels_from_labels(Inputs(cord=inputs.cord, discs=inputs.discs))


@pytest.mark.parametrize(
    ("discs", "message"),
    [
        (
            {19: 100, 60: 60},
            "spinal level (L5|S1) lies [0-9]+ mm below the label of the conus .60., the tip of the cord",
        ),
        ({17: 70, 60: 90}, "disc T9/T10 lies 20 mm below the label of the conus"),
    ],
)
def test_a_conus_above_what_lies_above_every_conus_is_an_error(discs, message):
    with pytest.raises(LabelError, match=message):
        levels_from_labels(lower_cord(discs))


def test_a_conus_close_to_the_cervical_cord_is_noted():
    inputs = lower_cord({60: CONUS_SLICE})
    named = np.where(inputs.rootlets.data > 0, inputs.rootlets.data - 17, 0)  # C2 to C8, T1 and T2
    cervical = Inputs(cord=inputs.cord, rootlets=Volume(named, np.eye(4), "rootlets"), discs=inputs.discs)
    [note] = [note for note in levels_from_labels(cervical).notes if "conus" in note]
    # The middle of T1 lies 85 mm below the top, that of the label 111.5 mm: 26.5 mm, which is written as 26 or 27.
    assert re.fullmatch(r"the label of the conus \(60\) lies 2[67] mm below spinal level T1; check it", note)
