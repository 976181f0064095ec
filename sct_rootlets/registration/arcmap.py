"""A map of arc length from the template's cord to the subject's: smooth, strictly growing, and invertible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import lsq_linear

#: Limits of the ratio of lengths between two landmarks, subject over template; beyond these limits, a name or a
#: position is wrong (``benchmarks/registration.py real`` prints the ratios of real scans).
MIN_SLOPE, MAX_SLOPE = 0.4, 2.5
#: Landmarks closer than this on the template are averaged: their order means nothing.
MERGE_DISTANCE_MM = 3.0
#: Distance beyond the outermost landmarks at which the map has reached the subject's own scale: about one level.
TRANSITION_MM = 15.0
#: Prior of the scale: standard deviations of the length of a cord between people, as a share, and of the position of a
#: level about where the length of the whole cord predicts it.
SCALE_SD, POSITION_SD_MM = 0.08, 2.0
#: Iterations of Newton's method for the inverse, which starts within a few percent.
_N_NEWTON_ITERATIONS = 6


@dataclass(frozen=True)
class ArcMap:
    """Arc length of the subject as a function of that of the template, both in mm.

    A cubic Hermite curve runs through the knots. Beyond the outermost knots it goes on as if there were another knot at
    a distance of `TRANSITION_MM`, and from there as a line of slope `scale`: continuously differentiable and strictly
    growing.

    Attributes
    ----------
    template_mm, subject_mm : numpy.ndarray, shape (K,)
        Arc lengths of the knots, both ascending; one knot makes the map a shift, if the scale is 1.
    scale : float
        Slope beyond the knots, in mm of the subject per mm of the template.
    """

    template_mm: np.ndarray
    subject_mm: np.ndarray
    scale: float = 1.0

    @cached_property
    def _extended_knots(self) -> tuple[np.ndarray, np.ndarray]:
        """The knots, with one more at either end."""
        distance = np.array([-TRANSITION_MM, TRANSITION_MM])
        ends = np.array([0, -1])
        template_mm, subject_mm = self.template_mm[ends] + distance, self.subject_mm[ends] + self.scale * distance
        return (
            np.concatenate([template_mm[:1], self.template_mm, template_mm[1:]]),
            np.concatenate([subject_mm[:1], self.subject_mm, subject_mm[1:]]),
        )

    @cached_property
    def _curve(self) -> CubicHermiteSpline:
        """The curve through the knots.

        Slopes at the knots are harmonic means of the secants on either side, at most twice either secant, so that the
        curve cannot turn back (Fritsch & Butland 1984, doi 10.1137/0905021).
        """
        template_mm, subject_mm = self._extended_knots
        secants = np.diff(subject_mm) / np.diff(template_mm)
        inner = 2 / (1 / secants[:-1] + 1 / secants[1:])
        return CubicHermiteSpline(template_mm, subject_mm, np.concatenate([[self.scale], inner, [self.scale]]))

    def __call__(self, arc: ArrayLike) -> np.ndarray:
        """Map arc lengths of the template to the subject, shape (N,), mm."""
        return self._evaluate(np.asarray(arc, dtype=float))[0]

    def slope(self, arc: ArrayLike) -> np.ndarray:
        """Compute mm of the subject per mm of the template, at arc lengths of the template, shape (N,)."""
        return self._evaluate(np.asarray(arc, dtype=float))[1]

    def _evaluate(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the map and its slope."""
        template_mm, _ = self._extended_knots
        inside = np.clip(arc, template_mm[0], template_mm[-1])
        value, slope = self._curve(inside), self._curve(inside, 1)
        return value + self.scale * (arc - inside), np.where(arc == inside, slope, self.scale)

    def inverse(self, arc: ArrayLike) -> np.ndarray:
        """Map arc lengths of the subject to the template, shape (N,), mm.

        Newton's method, bounded by the two knots on either side of each position; exact to rounding.
        """
        arc = np.asarray(arc, dtype=float)
        template_mm, subject_mm = self._extended_knots
        inside = np.clip(arc, subject_mm[0], subject_mm[-1])
        fine = np.unique(np.concatenate([np.linspace(template_mm[0], template_mm[-1], 200), template_mm]))
        guess = np.interp(inside, self(fine), fine)
        span = np.clip(np.searchsorted(subject_mm, inside, side="right") - 1, 0, len(subject_mm) - 2)
        low, high = template_mm[span], template_mm[span + 1]
        for _ in range(_N_NEWTON_ITERATIONS):
            value, slope = self._evaluate(guess)
            guess = np.clip(guess - (value - inside) / slope, low, high)
        return guess + (arc - inside) / self.scale


def estimate_scale(template_mm: ArrayLike, subject_mm: ArrayLike) -> float:
    """Estimate the length of a subject's cord over that of the template from landmarks.

    Segments of the cord have the same relative lengths in different people (Frostell 2016, doi
    10.3389/fneur.2016.00238), so the cord beyond the landmarks is as much longer or shorter as the cord between them.
    The estimate is the mean of the slope of a regression and of 1, weighted by `POSITION_SD_MM` and `SCALE_SD`: 1 for a
    single landmark.

    Parameters
    ----------
    template_mm, subject_mm : array_like, shape (N,)
        Arc lengths in mm of the same landmarks.
    """
    positions = (np.asarray(values, dtype=float) for values in (template_mm, subject_mm))
    template, subject = (values - values.mean() for values in positions)
    precision = (template @ template) / POSITION_SD_MM**2
    weighted_slope = (template @ subject) / POSITION_SD_MM**2
    return float((weighted_slope + SCALE_SD**-2) / (precision + SCALE_SD**-2))


def fit_arc_map(
    template_mm: ArrayLike,
    subject_mm: ArrayLike,
    weights: ArrayLike | None = None,
    slope_limits: tuple[float, float] = (MIN_SLOPE, MAX_SLOPE),
) -> ArcMap:
    """Fit a map through landmarks.

    Landmarks within `MERGE_DISTANCE_MM` on the template are averaged. Beyond the outermost landmarks, the map goes on
    at the scale of `estimate_scale`. The map meets all landmarks if the slopes between them are within the limits;
    otherwise, least squares move the landmarks as little as possible.

    Parameters
    ----------
    template_mm, subject_mm : array_like, shape (N,)
        Arc lengths in mm of the same landmarks, N >= 1, in any order.
    weights : array_like, shape (N,), optional
    slope_limits : (float, float)
        Least and greatest ratio of lengths between landmarks.

    Returns
    -------
    ArcMap
    """
    order = np.argsort(np.asarray(template_mm, dtype=float), kind="stable")
    template, subject = (np.asarray(values, dtype=float)[order] for values in (template_mm, subject_mm))
    weight = np.ones(len(template)) if weights is None else np.asarray(weights, dtype=float)[order]
    groups = np.split(np.arange(len(template)), np.flatnonzero(np.diff(template) > MERGE_DISTANCE_MM) + 1)
    template, subject = (
        np.array([np.average(values[group], weights=weight[group]) for group in groups])
        for values in (template, subject)
    )
    weight = np.array([weight[group].sum() for group in groups])
    if len(template) == 1:
        return ArcMap(template, subject)
    scale = float(np.clip(estimate_scale(template, subject), *slope_limits))
    least, greatest = (limit * np.diff(template) for limit in slope_limits)
    steps = np.diff(subject)
    if (steps < least).any() or (steps > greatest).any():
        cumulate = np.tril(np.ones((len(template), len(template))))  # the first position and the steps after it
        root = np.sqrt(weight)
        bounds = np.concatenate([[-np.inf], least]), np.concatenate([[np.inf], greatest])
        subject = cumulate @ lsq_linear(root[:, None] * cumulate, root * subject, bounds, method="bvls").x
    return ArcMap(template, subject, scale)
