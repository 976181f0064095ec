"""The posterior tips of discs that were found along the cord: where the fluid in front of the cord ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume
from sct_rootlets.straighten import sample_plane
from sct_rootlets.vertebral import Disc

#: The border between fluid and disc is searched for in front of the middle of the cord, most of all at its usual place.
SEARCHED_MM = (3.5, 16.0)
USUAL_MM, USUAL_SD_MM = 8.5, 2.5
#: Distance of the samples, and how far the tip lies beyond the border.
SAMPLE_MM, BEYOND_MM = 0.5, 1.0
#: Samples along the cord and to its sides, over which brightness is averaged.
ALONG_MM, ASIDE_MM = (-1.0, 0.0, 1.0), (-2.0, -1.0, 0.0, 1.0, 2.0)


def with_tips(
    volume: Volume, line: Centerline, discs: Sequence[Disc], given: Mapping[int, np.ndarray] | None = None
) -> tuple[Disc, ...]:
    """Find the posterior tip of each disc that was found in an image.

    The border is where brightness changes most, brighter or darker, weighed by how usual its distance from the cord is.

    Parameters
    ----------
    volume : Volume
    line : Centerline
    discs : sequence of Disc
    given : mapping of int to numpy.ndarray, shape (3,), optional
        Discs that were given, RAS+ mm by value: they stay where they are.

    Returns
    -------
    tuple of Disc
    """
    points = {value: (float(x), float(y), float(z)) for value, (x, y, z) in (given or {}).items()}
    return tuple(
        replace(disc, point_mm=points.get(disc.value) or _find_tip(volume, line, disc.arc_mm)) for disc in discs
    )


def _find_tip(volume: Volume, line: Centerline, arc_mm: float) -> tuple[float, float, float]:
    ahead = np.arange(*SEARCHED_MM, SAMPLE_MM)
    cuts = sample_plane(volume, line, arc_mm + np.array(ALONG_MM), ahead, "sagittal", np.array(ASIDE_MM))
    brightness = cuts.mean(axis=(0, 1)).astype(float)
    change = np.abs(brightness[4:] - brightness[:-4])  # over 2 mm
    middle = ahead[2:-2]
    usual = np.exp(-0.5 * ((middle - USUAL_MM) / USUAL_SD_MM) ** 2)
    border_mm = float(middle[(change * usual).argmax()]) if change.any() else USUAL_MM
    _, _, anterior = line.frame(np.array([arc_mm]))
    point = line.position(np.array([arc_mm]))[0] + (border_mm + BEYOND_MM) * anterior[0]
    return float(point[0]), float(point[1]), float(point[2])
