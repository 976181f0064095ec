"""Published norms of the size of the cord: 203 healthy adults (Valošek 2024, doi 10.1162/imag_a_00075)."""

from __future__ import annotations

import numpy as np

from sct_rootlets.cord_profile import load_profile

#: Source of the norms, for tables and figures.
SOURCE = "203 healthy adults, Valošek 2024, doi 10.1162/imag_a_00075"

#: Share of the places whose vertebral coordinate must be known.
MIN_KNOWN_SHARE = 0.75


def published_norm(coordinate: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """Compute what the size of healthy cords is on average over some places along the vertebrae.

    Parameters
    ----------
    coordinate : numpy.ndarray, shape (N,)
        Vertebral coordinates, such as 3.5 for the middle of vertebra C3.

    Returns
    -------
    mean, sd : dict of str to float
        ``area`` in mm², ``diameter_AP_ellipse`` and ``diameter_RL`` in mm, of the mean over the places; the standard
        deviation is that between people. Both are empty if more than a quarter of the places are not known, or lie
        beyond C1 to the middle of T3.

    Notes
    -----
    The model holds the logarithms of the area and of RL over AP diameter. Diameters are those of an ellipse of this
    area and this ratio.
    """
    grid, mean, covariance = load_profile()
    known = (coordinate >= grid[0]) & (coordinate <= grid[-1])
    if not len(coordinate) or np.mean(known) < MIN_KNOWN_SHARE:
        return {}, {}
    weights = np.mean([np.interp(coordinate[known], grid, unit) for unit in np.eye(len(grid))], axis=1)
    centre = mean @ weights
    both = np.kron(np.eye(2), weights)  # averages of the two logarithms
    spread = both @ covariance @ both.T
    # Logarithms of the area, of AP² and of RL² times a constant, from those of the area and the ratio.
    combined = {"area": (1.0, 0.0), "diameter_AP_ellipse": (0.5, -0.5), "diameter_RL": (0.5, 0.5)}
    means, sds = {}, {}
    for name, factors in combined.items():
        factor = np.array(factors)
        log = float(factor @ centre) + (0.0 if name == "area" else 0.5 * np.log(4 / np.pi))
        variance = float(factor @ spread @ factor)
        means[name] = float(np.exp(log + variance / 2))
        sds[name] = float(means[name] * np.sqrt(np.expm1(variance)))
    return means, sds
