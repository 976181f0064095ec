"""Shape at PAM50's slices, of a cord whose width tells the place along the vertebrae."""

from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.measure.cord_levels import TableLevel, read_cord_levels
from sct_rootlets.measure.shape import measure_slices
from sct_rootlets.measure.template_space import interpolate_to_template


@pytest.fixture(scope="module")
def cone():
    """Area grows to superior; vertebrae C3 (slices 50 to 69), C4 (35 to 49) and C5 (25 to 34)."""
    z = np.arange(80)
    x = np.arange(24) - 11.6
    radius = 4 + 0.03 * z
    data = np.clip(radius - np.hypot(x[:, None], x[None])[:, :, None] + 0.5, 0, 1).astype(np.float32)
    labels = np.zeros(data.shape, np.uint8)
    table = {}
    for value, (low, high) in {3: (50, 70), 4: (35, 50), 5: (25, 35)}.items():
        labels[:, :, low:high][data[:, :, low:high] > 0] = value
        ends = {"rostral_mm": 80.0 - high, "caudal_mm": 80.0 - low}
        table["vertebral", f"C{value}"] = TableLevel(**ends, rostral_sd_mm=0.3, caudal_sd_mm=0.3, complete=value != 5)
    affine = np.eye(4)
    return read_cord_levels({"vertebral": Volume(labels, affine)}, Volume(data, affine), table, "cord top"), radius


def test_places_follow_the_discs_and_sizes_stay(cone):
    cord, radius = cone
    found = interpolate_to_template(measure_slices(cord.cord), cord)
    assert set(found.vertebrae) == {3, 4}  # C5 is not complete
    # PAM50's labels of levels: C3 from slice 871 to 907, C4 from 834 to 870.
    assert (found.slices[found.vertebrae == 3].min(), found.slices[found.vertebrae == 3].max()) == (871, 907)
    assert (found.slices[found.vertebrae == 4].min(), found.slices[found.vertebrae == 4].max()) == (834, 870)
    middle = float(np.interp(889.5, found.slices, found.values["area"]))  # halfway from disc 454.0 to 435.5 mm
    assert middle == pytest.approx(np.pi * np.interp(59.5, np.arange(80), radius) ** 2, rel=0.01)
    assert np.all(np.diff(found.values["diameter_RL"]) > -0.05)
    np.testing.assert_allclose(found.coordinate[found.slices == 907], 3 + 0.5 / 18.5)


def test_nothing_without_vertebral_levels(cone):
    cord, _ = cone
    spinal = read_cord_levels({"spinal": Volume(cord.maps["vertebral"].data, cord.cord.affine)}, cord.cord)
    assert len(interpolate_to_template(measure_slices(spinal.cord), spinal).slices) == 0


def test_directions_of_axes_take_the_shorter_way(cone):
    """Between slices at 86 and -86 degrees, which are 8 degrees apart, the axis lies at 90 degrees, not at 0."""
    cord, _ = cone
    shapes = measure_slices(cord.cord)
    angles = np.where(np.arange(len(shapes.slices)) % 2, 86.0, -86.0)
    found = interpolate_to_template(replace(shapes, values={**shapes.values, "orientation": angles}), cord)
    assert abs(found.values["orientation"]).min() >= 86
    assert abs(found.values["orientation"]).max() > 88
