"""One picture of the page as arrays: grey values, and on the same pixels the levels and outlines above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageColor
from scipy import ndimage

from sct_rootlets.levels import Kind, level_color, level_name

#: Percentiles of brightness that are shown as black and as white.
WINDOW_PERCENTILES = (1.0, 99.5)
#: Grey values (of 1) that cord and fluid have, the darker and the brighter of them, where a window is fitted to both.
DARKER_GRAY, BRIGHTER_GRAY = 0.30, 0.85
#: Limits of the gamma of such a window: beyond them bones would be black, or noise would be white.
GAMMA_LIMITS = (0.45, 1.6)
#: Grey value of pictures without an image.
NO_IMAGE_GRAY = 60
#: Opacity (of 255) of areas, of outlines of levels, which hide the image below, and of the outline of the cord.
AREA_OPACITY, OUTLINE_OPACITY, CORD_OPACITY = 110, 255, 150


@dataclass(frozen=True, kw_only=True)
class View:
    """A picture and the meaning of its pixels.

    Attributes
    ----------
    gray : numpy.ndarray of uint8, shape (H, W)
    labels : numpy.ndarray of uint8, shape (H, W)
        Values of levels.
    kind : {"spinal", "vertebral"}
        Kind of the levels.
    cord_edge : numpy.ndarray of bool, shape (H, W)
        Outline of the cord.
    rows, columns : (float, float)
        Positions of the upper and lower edge, and of the left and right edge: mm, or degrees around the cord.
    filled : bool
        Whether labels are shown as areas with outlines, or as outlines only.
    """

    gray: np.ndarray
    labels: np.ndarray
    kind: Kind = "spinal"
    cord_edge: np.ndarray
    rows: tuple[float, float]
    columns: tuple[float, float]
    filled: bool = True

    def overlay(self) -> np.ndarray:
        """Draw labels in the colours of their levels, and the outline of the cord.

        Returns
        -------
        numpy.ndarray of uint8, shape (H, W, 4)
            RGBA, transparent elsewhere.
        """
        picture = np.zeros((*self.labels.shape, 4), dtype=np.uint8)
        picture[self.cord_edge] = (255, 255, 255, CORD_OPACITY)
        edge = edges(self.labels)
        for value in np.unique(self.labels[self.labels > 0]):
            color = ImageColor.getrgb(level_color(level_name(int(value), self.kind)))
            if self.filled:
                picture[self.labels == value] = (*color, AREA_OPACITY)
            picture[edge & (self.labels == value)] = (*color, OUTLINE_OPACITY)
        return picture


def crop(view: View, columns: tuple[float, float]) -> View:
    """Leave the part of a view between two positions of its columns."""
    first, last = view.columns
    pixel = (last - first) / view.gray.shape[1]
    low, high = (round((position - first) / pixel) for position in columns)
    kept = {name: getattr(view, name)[:, low:high] for name in ("gray", "labels", "cord_edge")}
    return replace(view, **kept, columns=(first + low * pixel, first + high * pixel))


def pixel_centers(first: float, last: float, pixel: float) -> np.ndarray:
    """Return the centres of pixels that fill an interval from its beginning; at least one."""
    return first + pixel * (np.arange(max(round((last - first) / pixel), 1)) + 0.5)


def edges(labels: np.ndarray) -> np.ndarray:
    """Find the pixels of labels that have a neighbour of another value.

    Parameters
    ----------
    labels : numpy.ndarray, shape (H, W)

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
    """
    cross = ndimage.generate_binary_structure(2, 1)
    low, high = (filtered(labels, footprint=cross) for filtered in (ndimage.minimum_filter, ndimage.maximum_filter))
    return (labels > 0) & ((low != labels) | (high != labels))


def window(values: np.ndarray, percentiles: Sequence[float] = WINDOW_PERCENTILES) -> np.ndarray:
    """Scale brightness to 0 to 255.

    Parameters
    ----------
    values : numpy.ndarray
        Brightness; NaN counts as 0.
    percentiles : (float, float)
        Percentiles of the brightness that become 0 and 255.

    Returns
    -------
    numpy.ndarray of uint8, same shape
    """
    values = np.nan_to_num(values)
    low, high = np.percentile(values, percentiles)
    return np.rint(255 * np.clip((values - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)


def contrast_window(values: np.ndarray, cord: float, fluid: float) -> np.ndarray:
    """Scale brightness to 0 to 255 so that cord and fluid have the same grey values wherever they are measured.

    Black is the first of `WINDOW_PERCENTILES`. White and a gamma follow from the brightness of cord and fluid; if the
    gamma would lie beyond `GAMMA_LIMITS`, only the brighter of the two has its grey value.

    Parameters
    ----------
    values : numpy.ndarray
        Brightness; NaN counts as 0.
    cord, fluid : float
        Brightness of the cord and of the fluid around it; either may be the brighter one.

    Returns
    -------
    numpy.ndarray of uint8, same shape
    """
    values = np.nan_to_num(values)
    darker, brighter = sorted((cord, fluid))
    black = min(float(np.percentile(values, WINDOW_PERCENTILES[0])), darker)
    if brighter - black <= 1e-6:
        return window(values)
    ratio = max(darker - black, 1e-6) / (brighter - black)
    gamma = np.log(BRIGHTER_GRAY / DARKER_GRAY) / max(-np.log(ratio), 1e-6)
    gamma = float(np.clip(gamma, *GAMMA_LIMITS))
    white = black + (brighter - black) * BRIGHTER_GRAY ** (-1 / gamma)
    return np.rint(255 * np.clip((values - black) / (white - black), 0, 1) ** gamma).astype(np.uint8)
