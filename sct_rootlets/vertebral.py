"""Vertebral levels from disc labels: numbered by the labels' values, placed along the cord's centerline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels, superior_axis, voxel_length
from sct_rootlets.label_kinds import check_disc_points, check_vertebral_map
from sct_rootlets.levels import (
    CONUS_VALUE,
    DISC_T10_T11,
    LAST_DISC,
    LAST_NAMED,
    PMJ_VALUE,
    Level,
    Levels,
    disc_name,
)

#: A label that lies further sideways from the centerline is an error: no spinal canal is that wide, and posterior
#: disc tips lie about 10 mm from the centerline.
MAX_SIDEWAYS_MM = 40.0
#: Labels this far beyond an end of the centerline still count, because the last slice is thick and the end uncertain.
MAX_BEYOND_END_MM = 2.0
#: A region of up to this many slices, thinner than this, at the end of a map is the rim of a mask and no vertebra.
MAX_SLIVER_SLICES, MAX_SLIVER_MM = 2, 3.0
#: Labels further from the centerline than this (their median) are hardly posterior tips of discs: those lie 6 to 13 mm
#: from it in PAM50 and in five adults, single ones up to 14.5 mm, and the middles of vertebral bodies 16 mm and more.
MAX_MEDIAN_TIP_MM = 15.0
#: Labels closer to the centerline than this (their median) are placed on the cord: SCT does so with its discs
#: (``_labeled_discs``) and its vertebral bodies, both within 1 mm of the centerline in PAM50.
MAX_ON_CORD_MM = 3.0
#: Usual distance of disc n to disc n + 1 along the cord in mm: C1 to T3, each with the disc below.
VERTEBRA_LENGTH_MM = (13.0, 15.5, 17.0, 17.0, 16.0, 16.0, 17.0, 20.0, 21.5, 22.0)
#: The tip of the conus lies further than this below the cervical cord, also in children: in PAM50 347 mm below T1.
MIN_CERVICAL_TO_CONUS_MM = 100.0
#: The middle of a level lies so far below the label of the conus at most: the tip is hard to see to the millimetre.
CONUS_TOLERANCE_MM = 5.0
#: Numbers of vertebrae that were found in an image are uncertain below this probability.
SURE_NUMBERING = 0.8
#: Discs that are given are probably where they should be, or their place is unclear, up to so far from where a T2w scan
#: shows them. In windows of six such scans, 95 % of the discs that were found lay within 3.3 mm of the labels.
DISC_OFFSET_LIMITS_MM = (5.0, 7.0)
#: Names are at most this sure where discs that are given and a T2w scan contradict each other: one of them is wrong.
CONTRADICTED_CONFIDENCE = 0.5
#: Standard deviation, in vertebrae, of a disc that is given against where a T2w scan shows it.
DISC_OFFSET_SD = 0.2
#: Shares of a vertebra that labels of bodies are displaced by if they are taken for discs: half of one, and limits
#: that the spread of healthy subjects (Limits of agreement of arXiv 2509.16255) and labels one off do not reach.
HALF_VERTEBRA_SHARES = (0.33, 0.75)


DiscSource = Literal["given", "image"]


@dataclass(frozen=True)
class Disc:
    """A disc label along the cord.

    Attributes
    ----------
    value : int
        Value in label maps; 3 is C2/C3.
    arc_mm : float
        Arc length of its posterior tip, projected to the centerline, in mm.
    sd_mm : float
        Standard deviation of its position in mm: from the voxel size, or as it was found.
    source : {"given", "image"}
        Whether it was given, or found in the image.
    point_mm : tuple of float, optional
        Its posterior tip, RAS+ mm, if it was found in the image.
    """

    value: int
    arc_mm: float
    sd_mm: float
    source: DiscSource = "given"
    point_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class VertebralNumbering:
    """How sure the numbers of vertebrae are that were found in an image.

    Attributes
    ----------
    probability : float
    alternatives : dict of int to float
        Probability of other numberings, by how many vertebrae they differ; positive is further caudal.
    is_corroborated : bool
        Whether kinds of evidence that err independently agree when each is read by itself.
    is_given : bool
        Whether discs that were given fix the numbers.
    contradicted_by_image : float, optional
        Where a T2w scan numbers the vertebrae differently from the discs that were given: the probability of its own
        numbers.
    disc_offset_mm : dict of int to float
        How far below the place where a T2w scan shows it each disc lies that was given, by value.
    """

    probability: float
    alternatives: dict[int, float]
    is_corroborated: bool
    is_given: bool = False
    contradicted_by_image: float | None = None
    disc_offset_mm: dict[int, float] = field(default_factory=dict)

    @property
    def misplaced_discs(self) -> dict[int, float]:
        """Those of `disc_offset_mm` that are further off than discs lie."""
        good, _ = DISC_OFFSET_LIMITS_MM
        return {value: off for value, off in self.disc_offset_mm.items() if abs(off) > good}


def label_points(volume: Volume) -> dict[int, np.ndarray]:
    """Read the position of each point label.

    Touching voxels of one value are one label, at their centroid.

    Parameters
    ----------
    volume : Volume
        Zero except for the labels.

    Returns
    -------
    dict of int to numpy.ndarray, shape (3,)
        RAS+ mm, by value, ascending.

    Raises
    ------
    LabelError
        If a value stands in two places, or the volume holds no label or fractions.
    """
    ijk, values = labelled_voxels(volume)
    points = {}
    for value in np.unique(values):
        voxels = ijk[values == value]
        low = voxels.min(axis=0)
        box = np.zeros(voxels.max(axis=0) - low + 1, dtype=bool)
        box[tuple((voxels - low).T)] = True
        if ndimage.label(box, structure=np.ones((3, 3, 3)))[1] > 1:
            raise LabelError(
                f"{volume.name} holds the value {value} in two places; give each label its own value, once"
            )
        points[int(value)] = apply_affine(volume.affine, voxels.mean(axis=0))
    return points


def disc_points(volume: Volume) -> dict[int, np.ndarray]:
    """Read the positions of disc labels, as `label_points`, after checking that they are points with disc numbers.

    Raises
    ------
    LabelError
        As `label_points`; or if the volume is another kind of map.
    """
    check_disc_points(volume)
    return label_points(volume)


def median_distance_mm(points: dict[int, np.ndarray], centerline: Centerline) -> float:
    """Median distance of disc labels from the centerline in mm, of those beside it; NaN if none is."""
    positions = np.array([point for value, point in points.items() if value <= LAST_DISC]).reshape(-1, 3)
    if not len(positions):
        return np.nan
    place = centerline.project(positions)
    beside = (place.arc >= centerline.arc[0]) & (place.arc <= centerline.arc[-1])
    return float(np.median(place.distance[beside])) if beside.any() else np.nan


def kind_of_points_notes(distance_mm: float, displaced_mm: float | None, vertebra_mm: float) -> list[str]:
    """Note that points are labels of vertebral bodies, or may be.

    Parameters
    ----------
    distance_mm : float
        Median distance of the labels from the centerline (`median_distance_mm`).
    displaced_mm : float or None
        By how much more the vertebrae, bounded by these labels, lie caudal of the spinal levels than is usual, in the
        mean; None where it is not known.
    vertebra_mm : float
        Usual distance of two of the labels.

    Returns
    -------
    list of str
        At most one note.
    """
    if distance_mm > MAX_MEDIAN_TIP_MM:
        return [
            f"the disc labels lie {distance_mm:.0f} mm from the middle of the cord, where vertebral bodies are: give "
            "points at the posterior tips of the discs"
        ]
    if not distance_mm < MAX_ON_CORD_MM:
        return []
    low, high = HALF_VERTEBRA_SHARES
    if displaced_mm is None:
        return [
            "the disc labels lie on the middle of the cord, where SCT puts labels of discs and of vertebral bodies: "
            "check that they are discs"
        ]
    if low * vertebra_mm < displaced_mm < high * vertebra_mm:
        return [
            f"the disc labels lie on the middle of the cord, and half a vertebra ({displaced_mm:.0f} mm) too low for "
            "the rootlets: labels of vertebral bodies do; give points at the posterior tips of the discs"
        ]
    return []


def border_points(volume: Volume) -> dict[int, np.ndarray]:
    """Discs from a cord that is coloured by vertebral level: each lies where one vertebra's region meets the next.

    Parameters
    ----------
    volume : Volume
        Filled map, such as ``<seg>_labeled`` of ``sct_label_vertebrae``: the region of vertebra ``n`` has the value
        ``n``, 3 for C3.

    Returns
    -------
    dict of int to numpy.ndarray, shape (3,)
        RAS+ mm of points on the cord's centerline, by disc value, ascending. Where the map begins and ends, there
        need be no disc.

    Raises
    ------
    LabelError
        If the volume is no such map.
    """
    return read_borders(volume)[0]


def read_borders(volume: Volume) -> tuple[dict[int, np.ndarray], list[str]]:
    """Find discs as `border_points` does, and note regions that show no border.

    A region at an end of the map that is one or two slices thick, and thinner than 3 mm, makes no border:
    ``sct_label_vertebrae`` paints such a sliver in the colour of the next vertebra where the mask ends.

    Returns
    -------
    points : dict of int to numpy.ndarray, shape (3,)
    notes : list of str

    Raises
    ------
    LabelError
        If the volume is no such map, has a vertebra in two places, or vertebrae out of order.
    """
    check_vertebral_map(volume)
    ijk, values = labelled_voxels(volume)
    try:
        line = fit_centerline(np.asarray(volume.data) > 0, volume.affine, what="map")
    except LabelError as error:
        raise LabelError(
            f"{volume.name} is not a cord coloured by vertebral level ({error}); "
            "of TotalSpineSeg, give the discs with -ldisc"
        ) from error
    arc = line.project(apply_affine(volume.affine, ijk)).arc
    order = _order_along(arc, values, volume)
    slivers = [value for value in (order[0], order[-1]) if _is_sliver(ijk[values == value], volume)]
    notes = [
        f"{volume.name}: the value {value} fills one or two slices at the end of the map: no border of a vertebra is "
        "placed there"
        for value in dict.fromkeys(slivers)
    ]
    whole = ~np.isin(values, slivers)
    arc, values = arc[whole], values[whole]
    # The outermost voxels of an oblique border lie beyond it on one side of the cord, and short of it on the other.
    ends = {int(value): np.percentile(arc[values == value], [2, 98]) for value in np.unique(values)}
    points = {
        lower: line.position((ends[upper][1] + ends[lower][0]) / 2)[0]
        for upper, lower in pairwise(sorted(ends))
        if lower == upper + 1
    }
    if not points:
        raise LabelError(
            f"{volume.name} shows no border between two neighbouring vertebrae (values "
            f"{', '.join(map(str, order))}); give disc labels with -ldisc"
        )
    return points, notes


def _order_along(arc: np.ndarray, values: np.ndarray, volume: Volume) -> list[int]:
    """List the values of regions from rostral to caudal; raise a `LabelError` if they are not one after another."""
    step = max(1.0, float(volume.spacing.max()))
    place = np.floor((arc - arc.min()) / step).astype(int)
    unique = np.unique(values)
    counts = np.stack([np.bincount(place[values == value], minlength=place.max() + 1) for value in unique])
    sequence = unique[counts.argmax(axis=0)][counts.sum(axis=0) > 0]
    runs = [(int(value), len(list(same))) for value, same in groupby(sequence.tolist())]
    longest = {value: max(n for other, n in runs if other == value) for value, _ in runs}
    # At an oblique border two colours may take turns, a place or two long.
    steady = [value for value, n in runs if n > 2 or n == longest[value]]
    order = [value for value, _ in groupby(steady)]
    for value in order:
        if order.count(value) > 1:
            raise LabelError(
                f"{volume.name} holds the value {value} in two regions, with other vertebrae between them; give each "
                "vertebra its own value, once"
            )
    for upper, lower in pairwise(order):
        if lower < upper:
            raise LabelError(
                f"{volume.name} has the value {upper} above {lower} along the cord; numbers of vertebrae must grow "
                "from head to foot"
            )
    return order


def _is_sliver(ijk: np.ndarray, volume: Volume) -> bool:
    """Whether a region is one or two slices thick, and thinner than 3 mm."""
    axis, _ = superior_axis(volume.affine)
    n_slices = int(np.ptp(ijk[:, axis])) + 1
    return n_slices <= MAX_SLIVER_SLICES and n_slices * volume.spacing[axis] < MAX_SLIVER_MM


def pmj_point(volume: Volume) -> np.ndarray:
    """Position of the pontomedullary junction (value 50, or the only label), RAS+ mm, shape (3,).

    Raises
    ------
    LabelError
        If it is not one place.
    """
    points = label_points(volume)
    if PMJ_VALUE in points:
        return points[PMJ_VALUE]
    if len(points) > 1:
        raise LabelError(
            f"{volume.name} holds {len(points)} labels, none of them {PMJ_VALUE}; the PMJ is one voxel of that value"
        )
    return next(iter(points.values()))


def check_beside_cord(distance_mm: float, what: str) -> None:
    """Check that a label lies beside the centerline or its straight continuation.

    Parameters
    ----------
    distance_mm : float
        Of the label from the centerline.
    what : str
        What the message calls the label.

    Raises
    ------
    LabelError
        If it is more than 40 mm: then the label belongs to another scan.
    """
    if distance_mm > MAX_SIDEWAYS_MM:
        raise LabelError(
            f"{what} lies {distance_mm:.0f} mm sideways from the cord; check that it belongs to the same scan"
        )


def place_discs(
    points: dict[int, np.ndarray], centerline: Centerline, affine: np.ndarray, least: int = 2
) -> tuple[list[Disc], list[str]]:
    """Project disc labels to the centerline.

    Parameters
    ----------
    points : dict of int to numpy.ndarray, shape (3,)
        Posterior tips of discs by value, RAS+ mm; any subset, in any order.
    centerline : Centerline
        Extended to the PMJ where there is one.
    affine : numpy.ndarray, shape (4, 4)
        Affine of the label volume, which gives the uncertainty of the labels.
    least : int
        Smallest number of discs that must remain; a vertebra needs two.

    Returns
    -------
    discs : list of Disc
        By ascending value.
    notes : list of str
        Labels that were left out: values that are no discs, and labels beyond the ends of the centerline.

    Raises
    ------
    LabelError
        If a value is no disc, a disc lies more than 40 mm sideways from the cord, discs are out of order along
        the cord, or too few remain.
    """
    if min(points, default=1) < 1:
        raise LabelError(f"the disc labels hold the value {min(points)}; disc n lies above vertebra n, from 1 on")
    special = [value for value in points if value > LAST_DISC]
    notes = [
        f"label {value}: no disc (discs end at {LAST_DISC}): left out"
        + ("; give the PMJ with -pmj" if value == PMJ_VALUE else "")
        for value in special
    ]
    discs, beyond = [], []
    for value in sorted(set(points) - set(special)):
        projection = centerline.project(points[value])
        arc = float(projection.arc[0])
        caudal, _, _ = centerline.frame(arc)
        length = float(voxel_length(affine, caudal)[0])
        margin = max(MAX_BEYOND_END_MM, length / 2)
        if centerline.arc[0] - margin <= arc <= centerline.arc[-1] + margin:
            check_beside_cord(float(projection.distance[0]), f"disc {value} ({disc_name(value)})")
            discs.append(Disc(value, arc, length / np.sqrt(12)))
        else:
            beyond.append(f"{value} ({disc_name(value)})")
    if beyond:
        notes.append(f"disc {', '.join(beyond)}: beyond the ends of the cord mask: left out")
    for upper, lower in pairwise(discs):
        if lower.arc_mm <= upper.arc_mm:
            raise LabelError(
                f"disc {lower.value} ({disc_name(lower.value)}) lies above disc {upper.value} "
                f"({disc_name(upper.value)}) along the cord; disc values must grow from head to foot"
            )
    if len(discs) < least:
        advice = "a vertebral level needs the discs above and below it" if least > 1 else "do both belong to one scan?"
        raise LabelError(f"{len(discs)} disc label{'s' if len(discs) != 1 else ''} beside the cord mask; {advice}")
    return discs, notes


def place_conus(points: dict[int, np.ndarray], centerline: Centerline) -> float | None:
    """Project the tip of the conus medullaris, if disc labels hold it, to the centerline.

    Parameters
    ----------
    points : dict of int to numpy.ndarray, shape (3,)
        Disc labels by value, RAS+ mm; `sct_rootlets.levels.CONUS_VALUE` is the conus.
    centerline : Centerline

    Returns
    -------
    float or None
        Arc length in mm.

    Raises
    ------
    LabelError
        If it lies more than 40 mm sideways from the cord.
    """
    if CONUS_VALUE not in points:
        return None
    projection = centerline.project(points[CONUS_VALUE])
    check_beside_cord(float(projection.distance[0]), "the label of the conus (60)")
    return float(projection.arc[0])


def check_conus(conus_mm: float, discs: Sequence[Disc], spinal: Levels | None) -> list[str]:
    """Check that the tip of the conus medullaris lies where a cord can end.

    In 504 adults it lay between the middle of vertebra T12 and the top of L3 (Saifuddin, Burnett & White 1998, Spine
    23:1452, doi 10.1097/00007632-199807010-00005).

    Parameters
    ----------
    conus_mm : float
        Arc length of the tip.
    discs : sequence of Disc
        Those that were found in the image are not looked at.
    spinal : Levels or None

    Returns
    -------
    list of str
        A note if the cervical cord is less than `MIN_CERVICAL_TO_CONUS_MM` above it.

    Raises
    ------
    LabelError
        If a spinal level, or a disc above T11, lies below it by more than `CONUS_TOLERANCE_MM`.
    """
    given = [disc for disc in discs if disc.source == "given"]
    places = [(f"disc {disc_name(disc.value)}", disc.value, disc.arc_mm) for disc in given]
    inside = [place for place in places if place[1] <= DISC_T10_T11]
    levels = spinal.levels if spinal is not None else ()
    inside += [(f"spinal level {level.name}", level.value, level.midpoint_mm) for level in levels]
    for name, _, place in inside:
        if place > conus_mm + CONUS_TOLERANCE_MM:
            raise LabelError(
                f"{name} lies {place - conus_mm:.0f} mm below the label of the conus (60), the tip of the cord: one of "
                "the two is wrong; mend it"
            )
    cervical = [(conus_mm - place, name) for name, value, place in inside if value <= LAST_NAMED]
    if cervical and min(cervical)[0] < MIN_CERVICAL_TO_CONUS_MM:
        distance, name = min(cervical)
        return [f"the label of the conus (60) lies {distance:.0f} mm below {name}; check it"]
    return []


def disc_labels(discs: Sequence[Disc], grid: Volume) -> np.ndarray:
    """Label the posterior tip of each disc by a single voxel.

    Parameters
    ----------
    discs : sequence of Disc
        Those without a tip, and those beyond the grid, are left out.
    grid : Volume

    Returns
    -------
    numpy.ndarray of uint8, shape (I, J, K)
    """
    labels = np.zeros(grid.data.shape, dtype=np.uint8)
    for disc in discs:
        if disc.point_mm is not None:
            voxel = np.round(apply_affine(np.linalg.inv(grid.affine), disc.point_mm)).astype(int)
            if (voxel >= 0).all() and (voxel < labels.shape).all():
                labels[tuple(voxel)] = disc.value
    return labels


def vertebral_levels(
    discs: Sequence[Disc],
    cord_length: float,
    notes: list[str] | None = None,
    numbering: VertebralNumbering | None = None,
) -> Levels:
    """Vertebral levels between neighbouring discs: vertebra ``n`` from disc ``n`` to disc ``n + 1``.

    A disc that is missing leaves out the vertebrae on both sides of it; no other vertebra is renumbered.

    Parameters
    ----------
    discs : sequence of Disc
        By ascending value, as `place_discs` gives them.
    cord_length : float
        Arc length of the caudal end of the cord mask in mm: levels that reach beyond the mask are not complete.
    notes : list of str, optional
        Notes that are added to the levels.
    numbering : VertebralNumbering, optional
        How sure the numbers are, if discs were found in the image.

    Raises
    ------
    LabelError
        If no two discs are neighbours.
    """
    levels = []
    for upper, lower in pairwise(discs):
        if lower.value == upper.value + 1:
            beyond = upper.arc_mm < -MAX_BEYOND_END_MM or lower.arc_mm > cord_length + MAX_BEYOND_END_MM
            incomplete = ("reaches beyond the cord mask",) if beyond else ()
            ends = (upper.arc_mm, lower.arc_mm, upper.sd_mm, lower.sd_mm)
            sources = ", ".join(sorted({upper.source, lower.source}))
            levels.append(
                Level(
                    upper.value,
                    "vertebral",
                    *ends,
                    incomplete=incomplete,
                    confidence=None if numbering is None or sources == "given" else numbering.probability,
                    source=sources,
                )
            )
    if not levels:
        raise LabelError(
            "no two disc labels are neighbours (values "
            f"{', '.join(str(disc.value) for disc in discs)}); label the discs above and below a vertebra"
        )
    return Levels("vertebral", "discs", tuple(levels), tuple(notes or ()))
