"""One subject from label volumes to levels, tables and files: the front door of the package.

The science is in `centerline`, `spinal`, `vertebral` and `correspondence`; this module reads volumes, calls them
in order and writes what comes out.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.bids import output_prefix
from sct_rootlets.centerline import Centerline, along_cord, fit_centerline
from sct_rootlets.correspondence import (
    PAIR_COLUMNS,
    Pair,
    Reference,
    choose_reference,
    correspond,
    level_rows,
    pair_rows,
)
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, VolumeLike, binary_mask, check_same_grid, labelled_voxels, slice_range
from sct_rootlets.levels import Kind, Level, Levels
from sct_rootlets.nifti import load_volume
from sct_rootlets.sidecar import names_from_discs
from sct_rootlets.spinal import DISTANCE_MM, Method, spinal_levels
from sct_rootlets.vertebral import (
    Disc,
    border_points,
    check_beside_cord,
    label_points,
    place_discs,
    pmj_point,
    vertebral_levels,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SubjectLevels:
    """The levels of one subject.

    Attributes
    ----------
    cord : Volume
        The cord mask, as booleans; maps are on its grid.
    centerline : Centerline
        Through the cord, extended to the PMJ if one was given.
    reference : Reference
        What positions in the tables are counted from.
    spinal, vertebral : Levels or None
        None where rootlets, or discs, were not given.
    discs : list of Disc
    rootlets, image : Volume or None
        As given; for the figure.
    sources : dict of str to Volume
        The inputs.
    settings : dict
        What the levels were computed with, for the sidecar.
    notes : tuple of str
        What was thresholded, left out or corrected, one line each.
    segmented : dict of str to Volume
        ``cord`` and ``rootlets``, as far as they were segmented and not given; saved with the rest.
    sidecars : dict of str to dict
        What their JSON sidecars say.
    """

    cord: Volume
    centerline: Centerline
    reference: Reference
    spinal: Levels | None
    vertebral: Levels | None
    discs: list[Disc]
    rootlets: Volume | None
    image: Volume | None
    sources: dict[str, Volume]
    settings: dict[str, object]
    notes: tuple[str, ...]
    segmented: dict[str, Volume] = field(default_factory=dict)
    sidecars: dict[str, dict[str, object]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Levels and pairs as two small tables below a line about the whole; no arrays."""
        return "\n".join([self._heading, *(table.to_string(index=False) for table in self._summary_tables())])

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        tables = (table.to_html(index=False, border=0) for table in self._summary_tables())
        return "\n".join([f"<p>{html.escape(self._heading)}</p>", *tables])

    @property
    def _heading(self) -> str:
        """The scan, the reference of positions, and the method of the spinal levels."""
        heading = f"SubjectLevels of {(self.image or self.cord).name}, in mm along the cord from: {self.reference.name}"
        return heading if self.spinal is None else f"{heading}; spinal levels by method: {self.spinal.method}"

    def _summary_tables(self) -> list[pd.DataFrame]:
        """Return the table of levels, and that of shifted pairs if there are any."""
        import pandas as pd

        start = self.reference.arc_mm
        levels = [
            {
                "kind": level.kind,
                "level": level.name,
                "rostral": f"{level.rostral_mm - start:.1f}",
                "caudal": f"{level.caudal_mm - start:.1f}",
                "midpoint": f"{level.midpoint_mm - start:.1f}",
                "complete": "no" if level.incomplete else "yes",
            }
            for kind in self.kinds
            for level in kind.levels
        ]
        pairs = [
            {"vertebra": pair.vertebral.name, "spinal": pair.spinal.name, "difference": f"{pair.difference_mm:+.1f}"}
            for pair in self.shifted_pairs
        ]
        return [pd.DataFrame(rows) for rows in (levels, pairs) if rows]

    @property
    def kinds(self) -> list[Levels]:
        """The kinds of levels that there are: spinal first."""
        return [levels for levels in (self.spinal, self.vertebral) if levels is not None]

    @property
    def prefix(self) -> str:
        """What names of output files begin with, by default."""
        return output_prefix((self.image or self.cord).name)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs of vertebral and spinal levels; empty if one kind is missing."""
        if self.spinal is None or self.vertebral is None:
            return []
        return correspond(self.spinal, self.vertebral)

    @property
    def shifted_pairs(self) -> list[Pair]:
        """Pairs of vertebra and spinal level that the anatomy shifts against each other: those that figures show."""
        return [pair for pair in self.pairs if pair.pairing == "shifted"]

    @property
    def levels(self) -> pd.DataFrame:
        """The level table, one row a level (columns: ``docs/commands.md``)."""
        import pandas as pd

        return pd.DataFrame([row for levels in self.kinds for row in self.level_rows(levels)])

    @property
    def correspondence(self) -> pd.DataFrame:
        """The correspondence table, one row a pair of levels (columns: ``docs/commands.md``)."""
        import pandas as pd

        return pd.DataFrame(self.pair_rows(), columns=list(PAIR_COLUMNS))

    def level_rows(self, levels: Levels) -> list[dict[str, object]]:
        """Rows of the level table for one kind of level."""
        counts = np.bincount(levels.label(self.cord_arc), minlength=256)
        return level_rows(levels, self.reference, self._slices, lambda level: int(counts[level.value]))

    def pair_rows(self) -> list[dict[str, object]]:
        """Rows of the correspondence table."""
        return pair_rows(self.pairs, self.reference, self.spinal.method if self.spinal else "")

    def level_map(self, kind: Kind) -> np.ndarray:
        """The cord coloured by level.

        Parameters
        ----------
        kind : {"spinal", "vertebral"}

        Returns
        -------
        numpy.ndarray of uint8, shape (I, J, K)
            On the grid of the cord mask.
        """
        levels = self.spinal if kind == "spinal" else self.vertebral
        if levels is None:
            given = "rootlets" if kind == "spinal" else "discs"
            raise ValueError(f"no {kind} levels: {given} were not given")
        labels = np.zeros(self.cord.data.shape, dtype=np.uint8)
        labels[self.cord.data] = levels.label(self.cord_arc)
        return labels

    @cached_property
    def cord_arc(self) -> np.ndarray:
        """Arc length of each voxel of the cord, in array order."""
        return self.centerline.project(apply_affine(self.cord.affine, np.argwhere(self.cord.data))).arc

    @cached_property
    def rootlet_arcs(self) -> dict[int, np.ndarray]:
        """Arc length of the rootlet voxels of each level in mm, by value; empty where there are no rootlets."""
        if self.rootlets is None or not self.rootlets.data.any():
            return {}
        ijk, values = labelled_voxels(self.rootlets)
        arc = self.centerline.project(apply_affine(self.rootlets.affine, ijk)).arc
        return {int(value): arc[values == value] for value in np.unique(values)}

    def _slices(self, level: Level) -> tuple[int, int]:
        ends = self.centerline.position(np.array([level.rostral_mm, level.caudal_mm]))
        return slice_range(ends, self.cord.affine, self.cord.data.shape)


def compute_spinal_levels(
    rootlets: VolumeLike | None = None,
    *,
    cord: VolumeLike,
    discs: VolumeLike | None = None,
    vertebrae: VolumeLike | None = None,
    pmj: VolumeLike | None = None,
    centerline: VolumeLike | None = None,
    image: VolumeLike | None = None,
    method: Method = "segment",
    distance_mm: float = DISTANCE_MM,
) -> SubjectLevels:
    """Spinal levels from rootlets, vertebral levels from discs, and how they compare, for one subject.

    Volumes are paths, nibabel images or ``(array, affine)``, all on one grid, in any axis order.

    Parameters
    ----------
    rootlets : volume, optional
        Rootlet map: 2 for C2 ... 8 for C8, 9 for T1 and so on. Without it only vertebral levels come out.
    cord : volume
        Spinal cord mask; a soft one is cut at 0.5.
    discs : volume, optional
        Disc labels, single voxels at the posterior tips: 3 for C2/C3 and so on. Without it only spinal levels
        come out.
    vertebrae : volume, optional
        In place of discs: the cord coloured by vertebral level, 3 for C3 (`sct_rootlets.vertebral.border_points`).
    pmj : volume, optional
        Label of the pontomedullary junction: the centerline is continued to it and positions are counted from it.
    centerline : volume, optional
        A line of voxels along the cord, as `sct_get_centerline` writes, in place of that of the cord mask; smoothed
        like it.
    image : volume, optional
        The scan; only the figure shows it.
    method, distance_mm
        See `sct_rootlets.spinal.spinal_levels`.

    Returns
    -------
    SubjectLevels

    Raises
    ------
    ImageError
        If a file is missing, no single 3D NIfTI volume, or on another grid.
    LabelError
        If labels make no sense: see `fit_centerline`, `along_cord`, `spinal_levels`, `place_discs`.
    ValueError
        If neither rootlets nor discs are given, or discs twice.
    """
    if cord is None:
        raise ValueError("give the cord mask")
    if rootlets is None and discs is None and vertebrae is None:
        raise ValueError("give rootlets, discs or both")
    if discs is not None and vertebrae is not None:
        raise ValueError("give discs or vertebrae, not both")
    given = {
        "cord": cord,
        "rootlets": rootlets,
        "discs": discs,
        "vertebrae": vertebrae,
        "pmj": pmj,
        "centerline": centerline,
        "image": image,
    }
    volumes = {name: load_volume(source) for name, source in given.items() if source is not None}
    for name, volume in volumes.items():
        if name != "cord":
            check_same_grid(volumes["cord"], volume)

    mask, notes = binary_mask(volumes["cord"])
    header = volumes["cord"].header
    if header is not None and not (header["sform_code"] or header["qform_code"]):
        notes.append(
            f"{volumes['cord'].name} does not say how it is oriented (sform and qform codes are 0): "
            "check that superior is up in the figure"
        )
    cord_volume = replace(volumes["cord"], data=mask)
    curve = fit_centerline(mask, cord_volume.affine)
    if centerline is not None:
        line, line_notes = binary_mask(volumes["centerline"])
        curve = along_cord(fit_centerline(line, volumes["centerline"].affine, what="centerline"), curve)
        notes += line_notes
    notes += curve.notes

    pmj_arc = None
    if pmj is not None:
        point = pmj_point(volumes["pmj"])
        check_beside_cord(float(curve.project(point).distance[0]), "the PMJ label")
        curve = curve.extended_to(point)
        pmj_arc = float(curve.project(point).arc[0])

    placed: list[Disc] = []
    vertebral = spinal = None
    if discs is not None or vertebrae is not None:
        points = border_points(volumes["vertebrae"]) if discs is None else label_points(volumes["discs"])
        placed, disc_notes = place_discs(points, curve, cord_volume.affine)
        vertebral = vertebral_levels(placed, curve.cord_length, disc_notes)
    if rootlets is not None:
        volume = volumes["rootlets"]
        ijk, values = labelled_voxels(volume)
        cord_mm = apply_affine(cord_volume.affine, np.argwhere(mask))
        spinal = spinal_levels(ijk, values, volume.affine, volume.data.shape, cord_mm, curve, method, distance_mm)
    kinds = [levels for levels in (spinal, vertebral) if levels is not None]
    for levels in kinds:
        notes += levels.notes
        first = levels.levels[0]
        if pmj_arc is not None and first.midpoint_mm < pmj_arc:
            raise LabelError(
                f"the PMJ label lies below {levels.kind} level {first.name}; "
                "it belongs at the top of the cord, above C1"
            )

    if spinal is not None and vertebral is not None and not correspond(spinal, vertebral):
        notes.append("no spinal level has a vertebral level to be compared with: the correspondence table is empty")
    settings: dict[str, object] = {"Method": method, "DistanceMillimeters": distance_mm}
    named = names_from_discs(volumes["rootlets"].path) if rootlets is not None else None
    if named is not None:
        settings["NamesFromDiscs"] = named
    if named:
        notes.append(
            f"names of levels in {volumes['rootlets'].name} come from the discs, says its sidecar: "
            "it does not show how spinal and vertebral levels correspond"
        )
    return SubjectLevels(
        cord_volume,
        curve,
        choose_reference(pmj_arc, placed),
        spinal,
        vertebral,
        placed,
        volumes.get("rootlets"),
        volumes.get("image"),
        volumes,
        settings,
        tuple(notes),
    )
