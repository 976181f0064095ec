"""A phantom that differs between left and right, and between front and back."""

from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.subject import SubjectLevels


@pytest.fixture(scope="session")
def right_dorsal(phantom, phantom_levels) -> SubjectLevels:
    """The phantom with only its right dorsal rootlets left."""
    only = np.zeros_like(phantom.rootlets.data)
    ijk = np.argwhere(phantom.rootlets.data > 0)
    points = ijk @ phantom.rootlets.affine[:3, :3].T + phantom.rootlets.affine[:3, 3]
    foot = phantom_levels.centerline.project(points).foot
    keep = tuple(ijk[(points[:, 0] > foot[:, 0] + 2) & (points[:, 1] < foot[:, 1] + 1)].T)
    only[keep] = phantom.rootlets.data[keep]
    return replace(phantom_levels, rootlets=replace(phantom.rootlets, data=only))
