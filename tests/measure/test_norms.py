"""Norms of healthy adults against the published table, and where there are none."""

import numpy as np
import pytest

from sct_rootlets.cord_profile import PAM50_DISCS_MM
from sct_rootlets.measure.norms import published_norm


@pytest.mark.real_data
def test_norms_are_those_of_the_published_adults(real_data):
    """Means and standard deviations of vertebral levels, from the people themselves (area, AP and RL diameter)."""
    with np.load(real_data / "PAM50" / "cord_203_healthy.npz") as table:
        coordinate = np.interp(-table["slice_z"] * 0.5, -np.array(PAM50_DISCS_MM), np.arange(1, 12))
        people = {"area": table["area"], "diameter_AP_ellipse": table["ap"], "diameter_RL": table["rl"]}
        for vertebra in range(2, 9):
            inside = (coordinate >= vertebra) & (coordinate < vertebra + 1)
            mean, sd = published_norm(coordinate[inside])
            for name, values in people.items():
                levels = values[:, inside].astype(float).mean(axis=1)
                assert mean[name] == pytest.approx(np.nanmean(levels), rel=0.01)
                assert sd[name] == pytest.approx(np.nanstd(levels), rel=0.10)


def test_an_ellipse_of_the_mean_diameters_has_the_mean_area():
    mean, sd = published_norm(np.linspace(3, 3.9, 10))
    assert np.pi / 4 * mean["diameter_AP_ellipse"] * mean["diameter_RL"] == pytest.approx(mean["area"], rel=0.01)
    assert 0.05 < sd["area"] / mean["area"] < 0.15


@pytest.mark.parametrize("places", [[], [np.nan] * 4, [3.0, np.nan, np.nan], [11.0, 11.5, 12.0]])
def test_no_norms_where_vertebrae_are_not_known(places):
    assert published_norm(np.array(places)) == ({}, {})
