"""Cervical anatomies with published proportions: a plain one, and those of a cohort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.synthesis.anatomy import Anatomy, Filum, course

# Length of the attachment of each level's rootlets, C2 to T1: from C3 to C8 within the 10-12 mm of Kim 2012 (J Korean
# Neurosurg Soc 52:384); and the angle between the rootlets and the perpendicular to the cord, positive downwards: C1-C2
# run upwards, C3 level, C4-T2 more and more caudally (Clin Anat 1993;6:167).
_ATTACHMENT_LENGTH_MM = (8.0, 10.5, 11.0, 11.0, 10.5, 10.5, 10.0, 9.0)
_DESCENT_DEG = (-10.0, 0.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0)
# Heights of vertebrae C2 to T2 with the disc below, and of C1 above them.
_VERTEBRA_LENGTH_MM = (14.0, 15.5, 17.0, 17.0, 16.0, 16.0, 17.0, 20.0, 21.0)
# Place where rootlets leave the cross-section, and their direction from there, in degrees ventral of the widest line.
_DORSAL_START_DEG, _DORSAL_COURSE_DEG = -15.0, 20.0
_VENTRAL_START_DEG, _VENTRAL_COURSE_DEG = 50.0, 10.0


def cervical_anatomy(
    bend_deg: float = 22.0,
    sway_mm: float = 1.5,
    scale: float = 1.0,
    drift_mm: float | Sequence[float] = 0.0,
    filum_radius_mm: float = 0.7,
    fila_per_root: int = 5,
) -> Anatomy:
    """Build a cervical anatomy from C2 to T2.

    Parameters
    ----------
    bend_deg : float
        Greatest angle by which the cord leans forward and back along its course.
    sway_mm : float
        Greatest distance of the cord to the sides.
    scale : float
        Factor of all lengths along the cord.
    drift_mm : float or sequence of float
        Caudal displacement of the rootlets against the vertebrae: of all, or of each level from C2 to T1.
    filum_radius_mm : float
        Radius of a rootlet.
    fila_per_root : int
        Number of rootlets in each dorsal and ventral root on each side.

    Returns
    -------
    Anatomy
    """
    heights = np.array(_VERTEBRA_LENGTH_MM) * scale
    disc_arc = 10 * scale + np.concatenate([[0], np.cumsum(heights)])
    discs = {value: float(arc) for value, arc in enumerate(disc_arc, start=1)}
    centerline = _course(disc_arc[-1] + 6 * scale, bend_deg, sway_mm)

    middle = spinal_middles(discs, scale)

    half_width, half_depth = 6.5, 4.2
    fila = []
    drifts = np.broadcast_to(drift_mm, len(middle))
    for value, length, descent, drift in zip(middle, _ATTACHMENT_LENGTH_MM, _DESCENT_DEG, drifts, strict=True):
        reach = length * scale / 2 - filum_radius_mm / np.cos(np.radians(descent))
        for arc in np.linspace(-reach, reach, fila_per_root) + middle[value] + drift:
            for root, start_deg, course_deg, run_mm in (
                ("dorsal", _DORSAL_START_DEG, _DORSAL_COURSE_DEG, 6.5),
                ("ventral", _VENTRAL_START_DEG, _VENTRAL_COURSE_DEG, 6.0),
            ):
                start = np.array(
                    [half_width * np.cos(np.radians(start_deg)), half_depth * np.sin(np.radians(start_deg))]
                )
                course = run_mm * np.array([np.cos(np.radians(course_deg)), np.sin(np.radians(course_deg))])
                drop = run_mm * np.tan(np.radians(descent))
                end = start + course
                for side, sign in (("left", -1), ("right", 1)):
                    path = np.array([[arc, sign * start[0], start[1]], [arc + drop, sign * end[0], end[1]]])
                    fila.append(Filum(value, f"{side}_{root}", path, filum_radius_mm))
    pmj_mm = -20.0 * scale
    top = centerline.position(np.array([pmj_mm]))[0]
    return Anatomy(centerline.extended_to(top), half_width, half_depth, tuple(fila), discs, pmj_mm)


def _course(length_mm: float, bend_deg: float, sway_mm: float) -> Centerline:
    """Make a cord with a cervical lordosis: it leans forward above and below, and back in the middle."""
    arc = np.arange(0, length_mm + 0.25, 0.25)
    lean = np.radians(bend_deg) * np.cos(2 * np.pi * arc / (1.3 * length_mm))
    lateral = sway_mm * np.sin(2 * np.pi * arc / length_mm)
    return course(arc, lean, lateral)


#: Standard deviations over a cohort: of the size of the spine; of the displacement of rootlets against the vertebrae,
#: for all levels together and for each level alone; and of body height around the height that the size of the spine
#: predicts.
COHORT_SCALE_SD, COHORT_DRIFT_SD_MM, COHORT_LEVEL_SD_MM, COHORT_HEIGHT_SD_CM = 0.05, 1.5, 0.7, 3.0
#: Greatest distance from the cord of the rootlets whose middles have the published bias in a cohort.
COHORT_DISTANCE_MM = 2.4


def cohort_anatomy(rng: np.random.Generator) -> tuple[Anatomy, float]:
    """Draw an anatomy of a cohort whose levels lie, on average, as far from the vertebrae as published.

    The middles of the stretches where rootlets lie within 2.4 mm of the cord (method ``extent``) lie `BIAS_MM` above
    the middles of the vertebrae at scale 1, plus random displacements.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    anatomy : Anatomy
    height_cm : float
    """
    scale = float(np.clip(rng.normal(1, COHORT_SCALE_SD), 0.88, 1.12))
    bend, sway = float(rng.uniform(5, 28)), float(rng.uniform(0, 3))
    plain = cervical_anatomy(bend, sway, scale)
    planted = spinal_middles(plain.discs, scale)
    extents = plain.spinal_extents(COHORT_DISTANCE_MM).values()
    drift = rng.normal(0, COHORT_DRIFT_SD_MM) + rng.normal(0, COHORT_LEVEL_SD_MM, len(planted))
    drift += [middle - float(np.mean(ends)) for middle, ends in zip(planted.values(), extents, strict=True)]
    height = round(float(172 * scale + rng.normal(0, COHORT_HEIGHT_SD_CM)), 1)
    return cervical_anatomy(bend, sway, scale, drift.tolist()), height
