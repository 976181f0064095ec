"""A map of arc length from the template's cord to the subject's: smooth, growing, with an inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import lsq_linear

#: Between two landmarks the subject's cord is at least and at most so many times as long as the template's; beyond
#: these limits, a name or a position is wrong (``benchmarks/registration.py real`` prints those of real scans).
SLOPES = (0.4, 2.5)
#: Landmarks closer than this on the template count as one, at their mean: their order means nothing.
MERGE_MM = 3.0
#: Steps of Newton's method for the inverse; it starts within a few percent.
_STEPS = 6


@dataclass(frozen=True)
class ArcMap:
    """Arc length of the subject as a function of that of the template, both in mm.

    A cubic Hermite curve between knots, with slope 1 at the outermost ones and beyond: C1, and strictly growing.

    Attributes
    ----------
    template, subject : numpy.ndarray, shape (K,)
        Arc lengths of the knots, both ascending; one knot makes the map a shift.
    """

    template: np.ndarray
    subject: np.ndarray

    @property
    def _slopes(self) -> np.ndarray:
        """Slopes at the knots: harmonic means inside, at most twice either neighbour's secant (Fritsch & Butland 1984,
        doi 10.1137/0905021), so that the curve cannot turn back.
        """  # noqa: D205
        if len(self.template) == 1:
            return np.ones(1)
        secants = np.diff(self.subject) / np.diff(self.template)
        inner = 2 / (1 / secants[:-1] + 1 / secants[1:])
        return np.concatenate([[1.0], inner, [1.0]])

    def __call__(self, arc: ArrayLike) -> np.ndarray:
        """Arc length on the subject's cord of places on the template's, shape (N,), mm."""
        return self._evaluate(np.asarray(arc, dtype=float))[0]

    def slope(self, arc: ArrayLike) -> np.ndarray:
        """Subject's mm a template's mm, at arc lengths of the template, shape (N,)."""
        return self._evaluate(np.asarray(arc, dtype=float))[1]

    def _evaluate(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, last = self.template[0], self.template[-1]
        inside = np.clip(arc, first, last)
        if len(self.template) == 1:
            value, slope = np.full_like(arc, self.subject[0]), np.ones_like(arc)
        else:
            curve = CubicHermiteSpline(self.template, self.subject, self._slopes)
            value, slope = curve(inside), curve(inside, 1)
        return value + (arc - inside), np.where(arc == inside, slope, 1.0)

    def inverse(self, arc: ArrayLike) -> np.ndarray:
        """Arc length on the template's cord of places on the subject's, shape (N,), mm.

        Newton's method, kept between the two knots that a place lies between; exact to rounding.
        """
        arc = np.asarray(arc, dtype=float)
        inside = np.clip(arc, self.subject[0], self.subject[-1])
        fine = np.unique(np.concatenate([np.linspace(self.template[0], self.template[-1], 200), self.template]))
        guess = np.interp(inside, self(fine), fine)
        span = np.clip(np.searchsorted(self.subject, inside, side="right") - 1, 0, max(len(self.subject) - 2, 0))
        low, high = self.template[span], self.template[np.minimum(span + 1, len(self.template) - 1)]
        for _ in range(_STEPS):
            value, slope = self._evaluate(guess)
            guess = np.clip(guess - (value - inside) / slope, low, high)
        return guess + (arc - inside)


def fit_arc_map(
    template: ArrayLike, subject: ArrayLike, weight: ArrayLike | None = None, slopes: tuple[float, float] = SLOPES
) -> ArcMap:
    """Fit a map through landmarks.

    Landmarks that lie within `MERGE_MM` on the template are averaged. Where the rest would ask for a slope beyond the
    limits, the least squares solution within them moves landmarks as little as it can; elsewhere it meets them.

    Parameters
    ----------
    template, subject : array_like, shape (N,)
        Arc lengths in mm of the same landmarks, N >= 1, in any order.
    weight : array_like, shape (N,), optional
    slopes : (float, float)
        Least and greatest ratio of lengths between landmarks.

    Returns
    -------
    ArcMap
    """
    order = np.argsort(np.asarray(template, dtype=float), kind="stable")
    at, to = (np.asarray(values, dtype=float)[order] for values in (template, subject))
    heavy = np.ones(len(at)) if weight is None else np.asarray(weight, dtype=float)[order]
    groups = np.split(np.arange(len(at)), np.flatnonzero(np.diff(at) > MERGE_MM) + 1)
    at, to = (np.array([np.average(values[group], weights=heavy[group]) for group in groups]) for values in (at, to))
    heavy = np.array([heavy[group].sum() for group in groups])
    if len(at) == 1:
        return ArcMap(at, to)
    steps, wanted = np.diff(at), np.diff(to)
    if (wanted < slopes[0] * steps).any() or (wanted > slopes[1] * steps).any():
        sums = np.tril(np.ones((len(at), len(at))))  # of the first position and the steps after it
        root = np.sqrt(heavy)
        low = np.concatenate([[-np.inf], slopes[0] * steps])
        high = np.concatenate([[np.inf], slopes[1] * steps])
        to = sums @ lsq_linear(root[:, None] * sums, root * to, (low, high), method="bvls").x
    return ArcMap(at, to)
