"""The centerline of the spinal cord, and positions along it in millimetres.

Everything here is in RAS+ mm and in mm of arc length, which is 0 at the rostral end of the cord mask and grows
caudally. Definitions and references: ``docs/methods.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import ArrayLike
from scipy import ndimage
from scipy.interpolate import BSpline
from scipy.spatial import cKDTree

from sct_rootlets.errors import LabelError
from sct_rootlets.image import nonzero_voxels, superior_axis

#: Wavelength at which smoothing halves a wiggle of the centroids; at 100 mm it takes 0.01 %. Bends of a neck are
#: longer, and jitter of masks is shorter.
SMOOTHING_MM = 20.0
#: Distance between the knots of the spline.
KNOT_SPACING_MM = 4.0
#: Distance between the points that represent the curve.
POINT_SPACING_MM = 0.5
#: Islands of the mask smaller than this share of its largest piece are not part of the cord.
MIN_ISLAND_SHARE = 0.05
#: A centerline is not fitted to a shorter piece of cord.
MIN_CORD_LENGTH_MM = 10.0
#: Slices through the cords of PAM50 and four healthy adults measure up to 105 mm²; a mask whose median
#: slice exceeds this shows something else.
MAX_SECTION_MM2 = 400.0
#: Length of cord over which the full cross-sectional area is judged when looking for the mask's ends.
PLATEAU_MM = 15.0
#: A given centerline may lie this far beside the centerline of the cord mask: about half of the width of a cord.
MAX_BESIDE_MM = 6.0
#: A given centerline that ends further within the cord mask is noted.
MAX_UNCOVERED_MM = 5.0


@dataclass(frozen=True)
class Projection:
    """Points projected to the nearest place of a centerline.

    Attributes
    ----------
    arc : numpy.ndarray, shape (N,)
        Arc length in mm; below the first or above the last value of `Centerline.arc` where the nearest place
        lies on the straight continuation of an end.
    foot : numpy.ndarray, shape (N, 3)
        The nearest place, RAS+ mm.
    distance : numpy.ndarray, shape (N,)
        Distance to it in mm.
    """

    arc: np.ndarray
    foot: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Centerline:
    """A curve through the cord, from rostral to caudal.

    Attributes
    ----------
    points : numpy.ndarray, shape (N, 3)
        RAS+ mm.
    arc : numpy.ndarray, shape (N,)
        Arc length in mm at each point: 0 at the rostral end of the cord mask, growing caudally, negative on an
        extension above the mask.
    cord_length : float
        Arc length of the caudal end of the cord mask in mm.
    notes : tuple of str
        What a user should know about the fit, one line each.
    turn_deg : float
        Angle about the cord's long axis from the patient's right, towards anterior, to the right of the cord.
    """

    points: np.ndarray
    arc: np.ndarray
    cord_length: float
    notes: tuple[str, ...] = ()
    turn_deg: float = 0.0

    @classmethod
    def from_points(cls, points: ArrayLike) -> Centerline:
        """Make a centerline from a polyline that runs from rostral to caudal, shape (N, 3), RAS+ mm."""
        points = np.asarray(points, dtype=float)
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        return cls(points, arc, float(arc[-1]))

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    @cached_property
    def _directions(self) -> np.ndarray:
        """Unit vectors of the segments, caudally, shape (N - 1, 3)."""
        steps = np.diff(self.points, axis=0)
        return steps / np.linalg.norm(steps, axis=1, keepdims=True)

    def project(self, points: ArrayLike) -> Projection:
        """Project points to the nearest place on the curve, or on the straight continuation of its ends.

        Parameters
        ----------
        points : array_like, shape (N, 3)
            RAS+ mm.

        Returns
        -------
        Projection
        """
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        _, nearest = self._tree.query(points)
        last = len(self.points) - 2
        above = self._on_segment(points, np.clip(nearest - 1, 0, last))
        below = self._on_segment(points, np.clip(nearest, 0, last))
        closer = above.distance <= below.distance
        return Projection(
            np.where(closer, above.arc, below.arc),
            np.where(closer[:, None], above.foot, below.foot),
            np.where(closer, above.distance, below.distance),
        )

    def _on_segment(self, points: np.ndarray, segment: np.ndarray) -> Projection:
        start, direction = self.points[segment], self._directions[segment]
        length = self.arc[segment + 1] - self.arc[segment]
        along = np.einsum("ij,ij->i", points - start, direction)
        # The first and the last segment continue beyond the curve.
        along = np.where(segment > 0, np.maximum(along, 0), along)
        along = np.where(segment < len(self._directions) - 1, np.minimum(along, length), along)
        foot = start + along[:, None] * direction
        return Projection(self.arc[segment] + along, foot, np.linalg.norm(points - foot, axis=1))

    def position(self, arc: ArrayLike) -> np.ndarray:
        """Compute the points of the curve, or of its straight continuation, at arc lengths.

        Parameters
        ----------
        arc : array_like, shape (N,)
            mm.

        Returns
        -------
        numpy.ndarray, shape (N, 3)
            RAS+ mm.
        """
        arc = np.atleast_1d(np.asarray(arc, dtype=float))
        segment = np.clip(np.searchsorted(self.arc, arc, side="right") - 1, 0, len(self._directions) - 1)
        return self.points[segment] + (arc - self.arc[segment])[:, None] * self._directions[segment]

    def frame(self, arc: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the axes of the cord at arc lengths: unit vectors to caudal, to the right, and to anterior.

        Right and anterior are perpendicular to the curve; right stays as close as it can to the patient's right, turned
        by `turn_deg`.

        Parameters
        ----------
        arc : array_like, shape (N,)
            mm.

        Returns
        -------
        caudal, right, anterior : numpy.ndarray, shape (N, 3) each
            RAS+.
        """
        arc = np.atleast_1d(np.asarray(arc, dtype=float))
        ahead, behind = self.position(arc + POINT_SPACING_MM), self.position(arc - POINT_SPACING_MM)
        caudal = (ahead - behind) / np.linalg.norm(ahead - behind, axis=1, keepdims=True)
        return caudal, *axes_across(caudal, self.turn_deg)

    def across(self, points: ArrayLike) -> tuple[Projection, np.ndarray, np.ndarray]:
        """Project points, and measure how far they lie beside the curve.

        Parameters
        ----------
        points : array_like, shape (N, 3)
            RAS+ mm.

        Returns
        -------
        place : Projection
        right_mm, anterior_mm : numpy.ndarray, shape (N,)
            Distance from the curve to the right and to anterior of its `frame`.
        """
        points = np.asarray(points, dtype=float).reshape(-1, 3)
        place = self.project(points)
        _, right, anterior = self.frame(place.arc)
        offset = points - place.foot
        return place, np.einsum("ij,ij->i", offset, right), np.einsum("ij,ij->i", offset, anterior)

    def extended_to(self, point: ArrayLike) -> Centerline:
        """Add a straight line from the rostral end to a point above it, as SCT does for the PMJ.

        If the point does not lie above the rostral end, the curve is returned unchanged.

        Parameters
        ----------
        point : array_like, shape (3,)
            RAS+ mm.
        """
        point = np.asarray(point, dtype=float)
        if self.project(point).arc[0] >= self.arc[0]:
            return self
        line = point - self.points[0]
        length = float(np.linalg.norm(line))
        fractions = np.linspace(1, 0, max(2, int(np.ceil(length / POINT_SPACING_MM)) + 1))[:-1]
        return replace(
            self,
            points=np.vstack([self.points[0] + fractions[:, None] * line, self.points]),
            arc=np.concatenate([self.arc[0] - fractions * length, self.arc]),
        )


def axes_across(caudal: np.ndarray, turn_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the axes across a cord from its direction.

    Parameters
    ----------
    caudal : numpy.ndarray, shape (N, 3)
        Unit vectors, RAS+.
    turn_deg : float
        See `Centerline.turn_deg`.

    Returns
    -------
    right, anterior : numpy.ndarray, shape (N, 3) each
        Unit vectors, RAS+.
    """
    right = np.array([1.0, 0.0, 0.0]) - caudal[:, :1] * caudal
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    anterior = np.cross(right, caudal)
    if not turn_deg:
        return right, anterior
    cosine, sine = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    return cosine * right + sine * anterior, cosine * anterior - sine * right


def fit_centerline(
    mask: np.ndarray, affine: np.ndarray, smoothing_mm: float = SMOOTHING_MM, what: str = "cord mask"
) -> Centerline:
    """Fit a centerline to a cord mask.

    A cubic smoothing spline runs through the centroids of the mask's slices (the slices across the voxel axis
    that runs along the body), each weighted by how complete its cross-section is, so that slices which an end of
    the mask cuts obliquely do not bend the curve. An end of the curve lies where the cross-sectional area has
    fallen to half: the face of the last voxel where the mask fills the field of view.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
        The spinal cord, in any axis order.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    smoothing_mm : float
        Wavelength in mm at which the spline keeps half of a wiggle of the centroids. With ``f`` the curve, ``y``
        the centroids and lengths in mm it minimises ``sum w (y - f)² + λ ∫ f'''²`` for
        ``λ = (smoothing_mm / 2π)⁶``. (The usual penalty, on ``f''``, would straighten the curve's ends.)
    what : str
        What messages call the mask.

    Returns
    -------
    Centerline
        From rostral to caudal, 0 mm at the rostral end of the mask.

    Raises
    ------
    LabelError
        If the mask has fewer than three slices, spans less than 10 mm along the body, or is too thick for a cord.
    """
    ijk, notes = _without_islands(mask, what)
    axis, direction = superior_axis(affine)
    step_mm = float(np.linalg.norm(affine[:3, axis]))
    first = int(ijk[:, axis].min())
    area = np.bincount(ijk[:, axis] - first).astype(float)
    n_slices = np.count_nonzero(area)
    if n_slices < 3 or n_slices * step_mm < MIN_CORD_LENGTH_MM:
        raise LabelError(
            f"the {what} has {n_slices} slices ({n_slices * step_mm:.3g} mm) along the body; "
            f"a centerline needs at least 3 slices and {MIN_CORD_LENGTH_MM:g} mm"
        )
    section = float(np.median(area[area > 0])) * abs(np.linalg.det(affine[:3, :3])) / step_mm
    if section > MAX_SECTION_MM2:
        raise LabelError(
            f"the {what} is {section:.0f} mm² thick, and a cord about 100 mm² at most; "
            "is it the image, or another mask?"
        )
    if (area == 0).any():
        missing = np.count_nonzero(area == 0) * step_mm
        notes.append(f"the {what} has gaps of {missing:.3g} mm in all: bridged by the centerline")

    plateau = _plateau(area, step_mm)
    weight = np.minimum(area / plateau, 1) ** 8  # a slice that misses a fifth of the cord hardly counts
    used = np.flatnonzero(area > 0.5 * plateau)
    slices = np.flatnonzero(area)
    sums = [np.bincount(ijk[:, axis] - first, weights=ijk[:, k])[slices] / area[slices] for k in range(3)]
    centroids = apply_affine(affine, np.stack(sums, axis=1))[np.searchsorted(slices, used)]

    ends = _half_area_ends(area, plateau)
    along = np.linspace(*ends, int(np.ceil((ends[1] - ends[0]) * step_mm / (POINT_SPACING_MM / 2))) + 1) * step_mm
    points = np.stack(
        [_smooth(used * step_mm, centroids[:, k], weight[used] * step_mm, smoothing_mm, along) for k in range(3)],
        axis=1,
    )
    if direction > 0:  # slices grow towards superior, arc length towards caudal
        points = points[::-1]
    return replace(_resampled(points), notes=tuple(notes))


def along_cord(given: Centerline, cord: Centerline) -> Centerline:
    """Cut a given centerline to the ends of the cord mask.

    Parameters
    ----------
    given : Centerline
        Fitted to a line of voxels, such as `sct_get_centerline` writes.
    cord : Centerline
        Fitted to the cord mask.

    Returns
    -------
    Centerline
        The given curve between the ends of the mask; continued straight where it does not reach them.

    Raises
    ------
    LabelError
        If the two lie more than 6 mm apart somewhere.
    """
    apart = float(given.project(cord.points).distance.max())
    if apart > MAX_BESIDE_MM:
        raise LabelError(
            f"the centerline lies up to {apart:.0f} mm beside the cord mask; check that it belongs to the same scan"
        )
    rostral, caudal = given.project(cord.points[[0, -1]]).arc
    short = max(given.arc[0] - rostral, caudal - given.arc[-1])
    notes = [*given.notes]
    if short > MAX_UNCOVERED_MM:
        notes.append(f"the centerline ends {short:.0f} mm within the cord mask: continued straight")
    arc = np.linspace(rostral, caudal, int(np.ceil((caudal - rostral) / POINT_SPACING_MM)) + 1)
    return replace(_resampled(given.position(arc)), notes=(*cord.notes, *notes))


def _without_islands(mask: np.ndarray, what: str) -> tuple[np.ndarray, list[str]]:
    """Remove small islands; returns the voxel indices of the rest, and a note of what was removed."""
    ijk = nonzero_voxels(mask)
    low, high = ijk.min(axis=0), ijk.max(axis=0) + 1
    box = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    pieces, n_pieces = ndimage.label(box, structure=np.ones((3, 3, 3)))
    if n_pieces == 1:
        return ijk, []
    sizes = np.bincount(pieces.ravel())[1:]
    keep = sizes >= MIN_ISLAND_SHARE * sizes.max()
    inside = keep[pieces[tuple((ijk - low).T)] - 1]
    if inside.all():
        return ijk, []
    return ijk[inside], [f"{np.count_nonzero(~inside)} voxels of the {what} lie apart from the cord: left out"]


def _plateau(area: np.ndarray, step_mm: float) -> np.ndarray:
    """Estimate the full cross-sectional area at each slice by a running median, shape (N,)."""
    slices = np.flatnonzero(area)
    half = max(1, round(PLATEAU_MM / 2 / step_mm))
    # Slices near an end look inward over the whole window, so that a tapered end does not count as full.
    centre = np.clip(np.arange(len(area)), slices[0] + half, max(slices[-1] - half, slices[0] + half))
    window = [area[max(c - half, 0) : c + half + 1] for c in centre]
    return np.array([np.median(a[a > 0]) if (a > 0).any() else np.median(area[slices]) for a in window])


def _half_area_ends(area: np.ndarray, plateau: np.ndarray) -> tuple[float, float]:
    """Find where the area falls to half of the plateau towards either end, in slices."""
    share = np.concatenate([[0.0], area / plateau, [0.0]])
    inside = np.flatnonzero(share >= 0.5)
    low, high = inside[0], inside[-1]
    lower = low - (share[low] - 0.5) / (share[low] - share[low - 1])
    upper = high + (share[high] - 0.5) / (share[high] - share[high + 1])
    # Never further out than the faces of the last slices; -1 undoes the padding.
    return max(lower, low - 0.5) - 1, min(upper, high + 0.5) - 1


def _smooth(x: np.ndarray, y: np.ndarray, weight: np.ndarray, wavelength: float, at: np.ndarray) -> np.ndarray:
    """Evaluate the cubic spline ``f`` that minimises ``sum w (y - f)² + λ ∫ f'''²``, at positions ``at`` (increasing).

    The third derivative of a cubic spline on even knots is the third difference of its coefficients, divided by
    the cube of the knot spacing: the penalty is exact (P-spline; Eilers & Marx 1996, doi 10.1214/ss/1038425655).
    """
    n_spans = max(4, int(np.ceil((at[-1] - at[0]) / KNOT_SPACING_MM)))
    knot_mm = (at[-1] - at[0]) / n_spans
    knots = at[0] + knot_mm * np.arange(-3, n_spans + 4)
    basis = BSpline.design_matrix(x, knots, 3).toarray()
    bend = np.diff(np.eye(n_spans + 3), n=3, axis=0)
    penalty = (wavelength / (2 * np.pi)) ** 6 / knot_mm**5 * bend.T @ bend
    coefficients = np.linalg.solve(basis.T @ (weight[:, None] * basis) + penalty, basis.T @ (weight * y))
    return BSpline(knots, coefficients, 3)(at)


def _resampled(points: np.ndarray) -> Centerline:
    """Turn a polyline into a centerline with a point every `POINT_SPACING_MM`."""
    dense = Centerline.from_points(points)
    arc = np.linspace(0, dense.cord_length, int(np.ceil(dense.cord_length / POINT_SPACING_MM)) + 1)
    return Centerline(dense.position(arc), arc, dense.cord_length)
