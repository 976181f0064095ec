"""A cohort in the space of a template: where levels lie, how much of the template's levels they cover, mean images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sct_rootlets.levels import level_name

Row = dict[str, object]
#: Columns of `coverage_rows` that are averaged over subjects.
MEASURES = ("top_mm", "bottom_mm", "middle_mm", "length_mm", "percent_of_template", "percent_of_level")


@dataclass(frozen=True)
class Extent:
    """Ends of a level along the template, in mm of the template's world, growing rostrally."""

    top_mm: float
    bottom_mm: float

    @property
    def length_mm(self) -> float:
        """Distance between the ends."""
        return self.top_mm - self.bottom_mm

    def shared_mm(self, other: Extent) -> float:
        """Length that two levels have in common."""
        return max(0.0, min(self.top_mm, other.top_mm) - max(self.bottom_mm, other.bottom_mm))


def level_extents(labels: np.ndarray, affine: np.ndarray) -> dict[int, Extent]:
    """Find the ends of each level of a label map in a straight template, from its outermost slices.

    Parameters
    ----------
    labels : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Of a grid with one axis along the template, RAS+ mm.

    Returns
    -------
    dict of int to Extent
    """
    axis = int(np.argmax(np.abs(affine[2, :3])))
    step = affine[2, axis]
    others = tuple(other for other in range(3) if other != axis)
    extents = {}
    for value in np.unique(labels[labels > 0]):
        slices = np.flatnonzero((labels == value).any(axis=others))
        ends = affine[2, 3] + step * (slices[[0, -1]] + np.array([-0.5, 0.5]))
        extents[int(value)] = Extent(top_mm=float(ends.max()), bottom_mm=float(ends.min()))
    return extents


def coverage_rows(subjects: Mapping[str, Mapping[int, Extent]], template: Mapping[int, Extent]) -> list[Row]:
    """Describe where each level of each subject lies, and how much of the template's level it covers.

    Parameters
    ----------
    subjects : mapping of str to mapping of int to Extent
        Levels by subject.
    template : mapping of int to Extent
        Levels of the template.

    Returns
    -------
    list of dict
        One row for each subject and level that the template has; NaN where a subject lacks the level.
    """
    rows: list[Row] = []
    for subject, levels in subjects.items():
        for value, reference in sorted(template.items()):
            level = levels.get(value)
            row: Row = {"subject": subject, "level": value, "name": level_name(value, "spinal")}
            if level is None:
                rows.append(row | dict.fromkeys(MEASURES, math.nan))
                continue
            shared = level.shared_mm(reference)
            values = (
                level.top_mm,
                level.bottom_mm,
                (level.top_mm + level.bottom_mm) / 2,
                level.length_mm,
                100 * shared / reference.length_mm,
                100 * shared / level.length_mm,
            )
            rows.append(row | dict(zip(MEASURES, values, strict=True)))
    return rows


def coverage_summary_rows(rows: Sequence[Row], template: Mapping[int, Extent]) -> list[Row]:
    """Average `coverage_rows` over subjects: mean and SD (n - 1), beside the template's own ends."""
    summary: list[Row] = []
    for value, reference in sorted(template.items()):
        part = [row for row in rows if row["level"] == value]
        table = np.array([[row[name] for name in MEASURES] for row in part], dtype=float).reshape(-1, len(MEASURES))
        table = table[np.isfinite(table).all(axis=1)]
        row: Row = {
            "level": value,
            "name": level_name(value, "spinal"),
            "n": len(table),
            "n_missing": len(part) - len(table),
            "template_top_mm": reference.top_mm,
            "template_bottom_mm": reference.bottom_mm,
        }
        for column, name in enumerate(MEASURES):
            stem, _, unit = name.partition("_")
            values = table[:, column]
            row[f"{stem}_mean_{unit}"] = float(values.mean()) if len(values) else math.nan
            row[f"{stem}_sd_{unit}"] = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        summary.append(row)
    return summary


class MeanImage:
    """Mean and standard deviation of images that are added one after the other, where subjects have voxels."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n = np.zeros(shape, dtype=np.uint16)
        self._mean = np.zeros(shape, dtype=np.float64)
        self._squares = np.zeros(shape, dtype=np.float64)

    def add(self, image: np.ndarray, covered: np.ndarray) -> None:
        """Add an image where a mask is true (Welford 1962, doi 10.1080/00401706.1962.10490022)."""
        self.n += covered
        difference = np.where(covered, image - self._mean, 0.0)
        self._mean += difference / np.maximum(self.n, 1)
        self._squares += difference * np.where(covered, image - self._mean, 0.0)

    @property
    def mean(self) -> np.ndarray:
        """Mean over the subjects who cover a voxel, 0 where nobody does."""
        return self._mean.astype(np.float32)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation (n - 1), 0 where fewer than two subjects cover a voxel."""
        return np.sqrt(np.where(self.n > 1, self._squares / np.maximum(self.n - 1.0, 1.0), 0.0)).astype(np.float32)
