"""Where the levels of a phantom are, by its anatomy."""

import numpy as np


def level_middles(anatomy):
    """True middle of each level's attachment, mm of arc length by name."""
    return {name: sum(ends) / 2 for name, ends in anatomy.spinal_extents(0.0).items()}


def position(anatomy, arc):
    """Point of the centerline at an arc length, shape (1, 3), RAS+ mm."""
    return anatomy.centerline.position(np.array([arc]))
