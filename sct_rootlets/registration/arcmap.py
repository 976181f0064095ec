"""A map of arc length from the template's cord to the subject's: smooth, growing, with an inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import lsq_linear

#: Between two landmarks the subject's cord is at least and at most so many times as long as the template's; beyond
#: these limits, a name or a position is wrong (``benchmarks/registration.py real`` prints those of real scans).
SLOPES = (0.4, 2.5)
#: Landmarks closer than this on the template count as one, at their mean: their order means nothing.
MERGE_MM = 3.0
#: Beyond the outermost landmarks the map has taken on the subject's own scale after this distance: about one level.
REACH_MM = 15.0
#: What the scale is judged by: cords of different people are longer or shorter by this share (SD), and places of levels
#: lie this far from where the length of the cord as a whole would have them.
SCALE_SD, PLACE_SD_MM = 0.08, 2.0
#: Steps of Newton's method for the inverse; it starts within a few percent.
_STEPS = 6


@dataclass(frozen=True)
class ArcMap:
    """Arc length of the subject as a function of that of the template, both in mm.

    A cubic Hermite curve between knots, which goes on beyond the outermost ones as if there were another one at
    `REACH_MM`, and from there as a line of slope `scale`: C1, and strictly growing.

    Attributes
    ----------
    template, subject : numpy.ndarray, shape (K,)
        Arc lengths of the knots, both ascending; one knot makes the map a shift, if the scale is 1.
    scale : float
        Subject's mm a template's mm beyond the knots.
    """

    template: np.ndarray
    subject: np.ndarray
    scale: float = 1.0

    @cached_property
    def _knots(self) -> tuple[np.ndarray, np.ndarray]:
        """Knots, with one more at either end."""
        reach = np.array([-REACH_MM, REACH_MM])
        ends = np.array([0, -1])
        at, to = self.template[ends] + reach, self.subject[ends] + self.scale * reach
        return (
            np.concatenate([at[:1], self.template, at[1:]]),
            np.concatenate([to[:1], self.subject, to[1:]]),
        )

    @cached_property
    def _curve(self) -> CubicHermiteSpline:
        """Slopes at the knots: harmonic means of the secants on either side, at most twice either of them, so that the
        curve cannot turn back (Fritsch & Butland 1984, doi 10.1137/0905021).
        """  # noqa: D205
        at, to = self._knots
        secants = np.diff(to) / np.diff(at)
        inner = 2 / (1 / secants[:-1] + 1 / secants[1:])
        return CubicHermiteSpline(at, to, np.concatenate([[self.scale], inner, [self.scale]]))

    def __call__(self, arc: ArrayLike) -> np.ndarray:
        """Arc length on the subject's cord of places on the template's, shape (N,), mm."""
        return self._evaluate(np.asarray(arc, dtype=float))[0]

    def slope(self, arc: ArrayLike) -> np.ndarray:
        """Subject's mm a template's mm, at arc lengths of the template, shape (N,)."""
        return self._evaluate(np.asarray(arc, dtype=float))[1]

    def _evaluate(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at, _ = self._knots
        inside = np.clip(arc, at[0], at[-1])
        value, slope = self._curve(inside), self._curve(inside, 1)
        return value + self.scale * (arc - inside), np.where(arc == inside, slope, self.scale)

    def inverse(self, arc: ArrayLike) -> np.ndarray:
        """Arc length on the template's cord of places on the subject's, shape (N,), mm.

        Newton's method, kept between the two knots that a place lies between; exact to rounding.
        """
        arc = np.asarray(arc, dtype=float)
        at, to = self._knots
        inside = np.clip(arc, to[0], to[-1])
        fine = np.unique(np.concatenate([np.linspace(at[0], at[-1], 200), at]))
        guess = np.interp(inside, self(fine), fine)
        span = np.clip(np.searchsorted(to, inside, side="right") - 1, 0, len(to) - 2)
        low, high = at[span], at[span + 1]
        for _ in range(_STEPS):
            value, slope = self._evaluate(guess)
            guess = np.clip(guess - (value - inside) / slope, low, high)
        return guess + (arc - inside) / self.scale


def estimate_scale(template: ArrayLike, subject: ArrayLike) -> float:
    """Length of a subject's cord over the template's, by landmarks, shrunk towards 1 by how little they say.

    Segments of the cord have the same relative lengths in different people (Frostell 2016, doi
    10.3389/fneur.2016.00238), so what lies beyond the landmarks is as much longer or shorter as what lies between. The
    mean of the slope of a regression and of 1, weighed by `PLACE_SD_MM` and `SCALE_SD`: 1 for a single landmark.

    Parameters
    ----------
    template, subject : array_like, shape (N,)
        Arc lengths in mm of the same landmarks.
    """
    at, to = (np.asarray(values, dtype=float) for values in (template, subject))
    at, to = at - at.mean(), to - to.mean()
    trust = (at @ at) / PLACE_SD_MM**2
    seen = (at @ to) / PLACE_SD_MM**2
    return float((seen + SCALE_SD**-2) / (trust + SCALE_SD**-2))


def fit_arc_map(
    template: ArrayLike, subject: ArrayLike, weight: ArrayLike | None = None, slopes: tuple[float, float] = SLOPES
) -> ArcMap:
    """Fit a map through landmarks.

    Landmarks that lie within `MERGE_MM` on the template are averaged. Beyond the outermost ones, the map goes on by
    `estimate_scale`. Where the rest would ask for a slope beyond the
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
    scale = float(np.clip(estimate_scale(at, to), *slopes))
    steps, wanted = np.diff(at), np.diff(to)
    if (wanted < slopes[0] * steps).any() or (wanted > slopes[1] * steps).any():
        sums = np.tril(np.ones((len(at), len(at))))  # of the first position and the steps after it
        root = np.sqrt(heavy)
        low = np.concatenate([[-np.inf], slopes[0] * steps])
        high = np.concatenate([[np.inf], slopes[1] * steps])
        to = sums @ lsq_linear(root[:, None] * sums, root * to, (low, high), method="bvls").x
    return ArcMap(at, to, scale)
