"""A segmentation as the levels of a subject, made by hand, without networks."""

from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.levels import Level, Levels
from sct_rootlets.plausibility import level_flags
from sct_rootlets.segmentation.subject import subject_of_segmentation
from sct_rootlets.vertebral import label_points

pytest.importorskip("torch", reason="torch is not installed")
from sct_rootlets.segmentation.segment import Segmentation


@pytest.fixture(scope="module")
def segmentation(phantom, phantom_levels):
    """Two levels of a phantom, all rootlets of one root, the first level near the top of the cord."""
    return Segmentation(
        rootlets=phantom.rootlets.data,
        roots=np.where(phantom.rootlets.data > 0, 2, 0).astype(np.uint8),
        cord=phantom.cord.data > 0,
        centerline=phantom_levels.centerline,
        spinal=Levels(
            "spinal",
            "attachment",
            (
                Level(5, "spinal", 1.0, 12.0, 1.0, 1.0, confidence=0.9),
                Level(6, "spinal", 20.0, 30.0, 1.0, 1.0, confidence=0.7),
            ),
        ),
        name_sources=("rootlets", "spine"),
        notes=("a note",),
    )


def test_levels_are_where_rootlets_attach(phantom, segmentation):
    subject = subject_of_segmentation(phantom.image, segmentation, label_points(phantom.discs))
    assert subject.spinal.method == "attachment"
    first, second = subject.spinal.levels
    assert (first.value, first.rostral_mm, first.caudal_mm) == (5, 1.0, 12.0)
    assert [level.confidence for level in (first, second)] == [0.9, 0.7]
    assert subject.vertebral is not None
    assert subject.notes == ("a note",)
    flags = {flag.key: flag for flag in level_flags(subject)}
    assert flags["confidence"].state == "look"


def test_roots_are_counted_and_levels_that_may_be_longer_say_so(phantom, segmentation):
    first, second = subject_of_segmentation(phantom.image, segmentation).spinal.levels
    assert first.incomplete == ("may be cut by the field of view", "rootlets of one root only (right dorsal)")
    assert first.roots["right_dorsal"] == (phantom.rootlets.data == 5).sum()
    assert second.incomplete == ("rootlets of one root only (right dorsal)",)
    few = np.zeros_like(phantom.rootlets.data)
    few[tuple(np.argwhere(phantom.rootlets.data == 6)[:4].T)] = 6
    thin = subject_of_segmentation(phantom.image, replace(segmentation, rootlets=few)).spinal.levels[1]
    assert thin.incomplete == ("only 4 rootlet voxels",)


def test_discs_that_are_no_neighbours_make_no_vertebra(phantom, segmentation):
    points = label_points(phantom.discs)
    subject = subject_of_segmentation(phantom.image, segmentation, {3: points[3], 6: points[6]})
    assert subject.vertebral is None
    assert [disc.value for disc in subject.discs] == [3, 6]
    assert subject.reference.name == "disc C2/C3"


def test_without_levels_or_discs_there_are_none(phantom, segmentation):
    subject = subject_of_segmentation(phantom.image, replace(segmentation, spinal=Levels("spinal", "attachment", ())))
    assert subject.spinal is None
    assert subject.kinds == []
    assert subject.reference.name == "cord top"


def test_a_segmentation_prints_as_a_small_table(segmentation):
    text = repr(segmentation)
    assert text.splitlines()[0].startswith("Segmentation: ")
    assert text.splitlines()[2].split() == ["C5", "1.0", "12.0", "0.9"]
    assert "array" not in text
    assert "<table" in segmentation._repr_html_()
    assert list(segmentation.levels.name) == ["C5", "C6"]
    assert segmentation.levels.midpoint_mm.tolist() == [6.5, 25.0]
