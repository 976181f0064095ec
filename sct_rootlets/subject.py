"""One subject from label volumes to levels, tables and files: the front door of the package.

The science is in `centerline`, `spinal`, `vertebral` and `correspondence`; this module reads volumes, calls them
in order and writes what comes out.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.bids import output_prefix
from sct_rootlets.centerline import Centerline, along_cord, fit_centerline
from sct_rootlets.cord_mask import MaskDefect, find_mask_defects, implausible_sections, measure_sections, nested_labels
from sct_rootlets.correspondence import (
    PAIR_COLUMNS,
    Pair,
    Reference,
    choose_reference,
    correspond,
    level_rows,
    pair_rows,
    published_bias,
)
from sct_rootlets.errors import LabelError
from sct_rootlets.flags import Flag
from sct_rootlets.image import (
    Volume,
    VolumeLike,
    binary_mask,
    check_same_grid,
    labelled_voxels,
    nonzero_voxels,
    slice_numbers,
    slice_range,
)
from sct_rootlets.label_kinds import (
    check_centerline,
    check_cord_mask,
    check_disc_points,
    check_pmj_label,
    check_rootlet_map,
    check_vertebral_map,
)
from sct_rootlets.levels import CONUS_VALUE, Kind, Level, Levels, disc_name
from sct_rootlets.nifti import header_notes, lacks_orientation, load_volume, look_at_header
from sct_rootlets.plausibility import level_flags
from sct_rootlets.sidecar import read_name_confidence, read_name_sources, read_scan_voxels
from sct_rootlets.spinal import (
    DISTANCE_MM,
    METHODS,
    Method,
    check_beside_cord_mask,
    redefine_levels,
    rootlet_arcs,
    spinal_levels,
    turn_to_rootlets,
)
from sct_rootlets.vertebral import (
    Disc,
    VertebralNumbering,
    check_beside_cord,
    check_conus,
    disc_points,
    kind_of_points_notes,
    median_distance_mm,
    place_conus,
    place_discs,
    pmj_point,
    read_borders,
    vertebral_levels,
)

if TYPE_CHECKING:
    import pandas as pd


#: Percentiles of the positions of rootlet voxels across the cord that stand for the outermost rootlets.
OUTERMOST_PERCENTILES = (5, 95)


@dataclass(frozen=True, kw_only=True)
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
        Given, or found in the image.
    numbering : VertebralNumbering, optional
        How sure the numbers of discs are that were found in the image.
    rootlets, image : Volume or None
        As given; for the figure.
    sources : dict of str to Volume
        The inputs.
    settings : dict
        What the levels were computed with, for the sidecar.
    extents : Levels, optional
        Spinal levels by method ``extent``, which plausibility is judged by whatever the method of `spinal`.
    mask_defects : tuple of MaskDefect
        Where the cord mask is missing or too thin.
    mask_problems : tuple of str
        Why the cord mask does not show one whole cord, one line each.
    name_sources : tuple of str, optional
        Sources of evidence that decided the names of spinal levels; None where they are not known.
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
    extents: Levels | None = None
    mask_defects: tuple[MaskDefect, ...] = ()
    mask_problems: tuple[str, ...] = ()
    name_sources: tuple[str, ...] | None = None
    numbering: VertebralNumbering | None = None
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

        table = pd.DataFrame([row for levels in self.kinds for row in self.level_rows(levels)])
        return table.astype({"confidence": float}) if "confidence" in table else table

    @property
    def correspondence(self) -> pd.DataFrame:
        """The correspondence table, one row a pair of levels (columns: ``docs/commands.md``)."""
        import pandas as pd

        return pd.DataFrame(self.pair_rows(), columns=list(PAIR_COLUMNS))

    def level_rows(self, levels: Levels) -> list[dict[str, object]]:
        """Rows of the level table for one kind of level."""
        counts = np.bincount(levels.label(self.cord_arc), minlength=256)
        return level_rows(levels, self.reference, self._slices, lambda level: int(counts[level.value]), self.flags)

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

        Raises
        ------
        ValueError
            If there are no levels of this kind.
        """
        if kind not in ("spinal", "vertebral"):
            raise ValueError(f"no levels of kind {kind!r}; use 'spinal' or 'vertebral'")
        levels = self.spinal if kind == "spinal" else self.vertebral
        if levels is None:
            given = "rootlets" if kind == "spinal" else "discs"
            raise ValueError(f"no {kind} levels: {given} were not given")
        labels = np.zeros(self.cord.data.shape, dtype=np.uint8)
        labels[self.cord.data] = levels.label(self.cord_arc)
        return labels

    @cached_property
    def flags(self) -> tuple[Flag, ...]:
        """Plausibility of the levels (`sct_rootlets.plausibility.level_flags`); of a changed copy, judged anew."""
        return level_flags(self)

    @cached_property
    def cord_arc(self) -> np.ndarray:
        """Arc length of each voxel of the cord, in array order."""
        return self.centerline.project(apply_affine(self.cord.affine, nonzero_voxels(self.cord.data))).arc

    @cached_property
    def rootlet_arcs(self) -> dict[int, np.ndarray]:
        """Arc length of the rootlet voxels of each level in mm, by value; empty where there are no rootlets."""
        return {} if self.rootlets is None else rootlet_arcs(self.rootlets, self.centerline)

    @cached_property
    def rootlets_middle_mm(self) -> tuple[float, float] | None:
        """How far the middle of the rootlets lies to the right and to the front of the centerline, in mm.

        The middle is that between the outermost rootlets of two sides, so that it does not depend on how many voxels
        each side has. None without rootlets beside the cord mask.
        """
        if self.rootlets is None or not self.rootlets.data.any():
            return None
        ijk, _ = labelled_voxels(self.rootlets)
        place, *across_mm = self.centerline.across(apply_affine(self.rootlets.affine, ijk))
        beside = (place.arc >= 0) & (place.arc <= self.centerline.cord_length)
        if not beside.any():
            return None
        across_mm = [mm[beside] for mm in across_mm]
        right_mm, anterior_mm = np.mean(np.percentile(across_mm, OUTERMOST_PERCENTILES, axis=1), axis=0)
        return float(right_mm), float(anterior_mm)

    def slice_mm(self, number: int) -> float:
        """Distance along the centerline from the reference to the middle of a slice of the cord's volume.

        Parameters
        ----------
        number : int
            Of the slice, counted from inferior as in the level table.

        Returns
        -------
        float
            In mm, growing caudally. The end of the centerline stands for slices beyond it.
        """
        middles = slice_numbers(self.centerline.points, self.cord.affine, self.cord.data.shape)
        # Slice numbers fall along the cord; np.interp wants them to grow.
        return float(np.interp(-number, np.maximum.accumulate(-middles), self.centerline.arc)) - self.reference.arc_mm

    def _slices(self, level: Level) -> tuple[int, int]:
        ends = self.centerline.position(np.array([level.rostral_mm, level.caudal_mm]))
        return slice_range(ends, self.cord.affine, self.cord.data.shape)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The volumes of one subject, all on one grid, in any axis order.

    Attributes
    ----------
    image : Volume, optional
        The scan.
    cord : Volume, optional
        Spinal cord mask; a soft mask is thresholded at 0.5.
    rootlets : Volume, optional
        Rootlet map: 2 for C2 ... 8 for C8, 9 for T1 and so on.
    discs : Volume, optional
        Disc labels, single voxels at the posterior tips: 3 for C2/C3 and so on.
    vertebrae : Volume, optional
        The cord coloured by vertebral level, in place of discs.
    pmj : Volume, optional
        Label of the pontomedullary junction.
    centerline : Volume, optional
        A line of voxels along the cord, in place of the centerline of the cord mask.
    """

    image: Volume | None = None
    cord: Volume | None = None
    rootlets: Volume | None = None
    discs: Volume | None = None
    vertebrae: Volume | None = None
    pmj: Volume | None = None
    centerline: Volume | None = None

    @classmethod
    def load(cls, **sources: VolumeLike | None) -> Inputs:
        """Read volumes, and check that they lie on one grid.

        Parameters
        ----------
        **sources : volume, optional
            Paths, nibabel images, ``(array, affine)`` or volumes, by the name of the attribute.

        Raises
        ------
        ImageError
            If a file is missing, no single 3D NIfTI volume, or on another grid.
        LabelError
            If a volume is another kind of map than it is given as.
        ValueError
            If discs are given twice, as labels and as a vertebral map.
        """
        if sources.get("discs") is not None and sources.get("vertebrae") is not None:
            raise ValueError("give discs or vertebrae, not both")
        given = {name: source for name, source in sources.items() if source is not None}
        cls._check_headers(given)  # of all files, before the values of the first one are read
        inputs = cls(**{name: load_volume(source) for name, source in given.items()})
        inputs.check_kinds()
        return inputs

    @classmethod
    def _check_headers(cls, given: dict[str, VolumeLike]) -> None:
        """Raise an `ImageError` if a file cannot be read, or lies on another grid."""
        inputs = cls(**{name: look_at_header(source) for name, source in given.items()})
        reference = inputs.cord or inputs.image
        for volume in inputs.volumes.values():
            if reference is not None and volume is not reference:
                check_same_grid(reference, volume)

    @property
    def volumes(self) -> dict[str, Volume]:
        """The volumes that are given, by the name of the attribute."""
        names = ("cord", "rootlets", "discs", "vertebrae", "pmj", "centerline", "image")
        given = {name: getattr(self, name) for name in names}
        return {name: volume for name, volume in given.items() if volume is not None}

    @property
    def header_notes(self) -> list[str]:
        """What is doubtful about the headers of the volumes, one line each (`sct_rootlets.nifti.header_notes`)."""
        order = ("image", "cord", "rootlets", "discs", "vertebrae", "pmj", "centerline")
        volumes = self.volumes
        return header_notes(*(volumes[name] for name in order if name in volumes))

    @property
    def image_notes(self) -> list[str]:
        """Which labels were made from other voxels than those of the image, by their sidecars, in one line at most.

        Labels that were corrected by hand stay in use when their image is replaced; they may lie elsewhere in it.
        """
        image = self.image
        if image is None:
            return []
        known = {
            volume.name: read_scan_voxels(volume.path)
            for volume in (self.cord, self.rootlets, self.discs)
            if volume is not None and volume.path is not None
        }
        others = [name for name, voxels in known.items() if voxels and voxels != image.voxels_digest]
        if not others:
            return []
        were = "was" if len(others) == 1 else "were"
        return [
            f"{' and '.join(others)} {were} made from other voxels than those of {image.name}: the image was changed "
            "since, or is another one; check that they still lie where the image shows them"
        ]

    @property
    def has_discs(self) -> bool:
        """Whether discs are given, as labels or as a vertebral map."""
        return self.discs is not None or self.vertebrae is not None

    def disc_points(self) -> dict[int, np.ndarray]:
        """Position of each disc, RAS+ mm, by value; empty if no discs are given.

        Raises
        ------
        LabelError
            If the labels make no sense.
        """
        if self.discs is not None:
            return disc_points(self.discs)
        return {} if self.vertebrae is None else read_borders(self.vertebrae)[0]

    def check_kinds(self) -> None:
        """Check that each volume is the kind of map that it is given as, as far as the volumes alone show it.

        Raises
        ------
        LabelError
            See `sct_rootlets.label_kinds`.
        """
        if self.cord is not None:
            check_cord_mask(self.cord, self.image)
        if self.rootlets is not None:
            check_rootlet_map(self.rootlets)
        if self.discs is not None:
            check_disc_points(self.discs)
        if self.vertebrae is not None:
            check_vertebral_map(self.vertebrae)
        if self.pmj is not None:
            check_pmj_label(self.pmj)
        if self.centerline is not None:
            check_centerline(self.centerline)


def levels_from_labels(
    inputs: Inputs,
    method: Method = "segment",
    distance_mm: float = DISTANCE_MM,
    found_discs: Sequence[Disc] = (),
    numbering: VertebralNumbering | None = None,
) -> SubjectLevels:
    """Compute spinal levels from rootlets, vertebral levels from discs, and how they compare, for one subject.

    `sct_rootlets.deepseg.compute_spinal_levels` segments cord and rootlets of an image first.

    Parameters
    ----------
    inputs : Inputs
        With the cord mask, and rootlets, discs or a vertebral map. Without rootlets only vertebral levels are
        computed, without discs only spinal levels.
    method, distance_mm
        See `sct_rootlets.spinal.spinal_levels`.
    found_discs : sequence of Disc
        Discs that were found in the image, with their posterior tips; those that are given take precedence.
    numbering : VertebralNumbering, optional
        How sure their numbers are.

    Returns
    -------
    SubjectLevels

    Raises
    ------
    LabelError
        If labels make no sense: see `fit_centerline`, `along_cord`, `spinal_levels`, `place_discs`.
    ValueError
        If the cord, or both rootlets and discs, are not given.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if inputs.cord is None:
        raise ValueError("give the cord mask")
    if inputs.rootlets is None and not inputs.has_discs and not found_discs:
        raise ValueError("give rootlets, discs or both")
    mask, notes = binary_mask(inputs.cord)
    cord = replace(inputs.cord, data=mask)
    notes += [*inputs.header_notes, *inputs.image_notes]
    centerline, line_notes = _fit_cord(cord, inputs.centerline)
    notes += line_notes
    if inputs.rootlets is not None:
        ijk, values = labelled_voxels(inputs.rootlets)
        centerline = turn_to_rootlets(centerline, apply_affine(inputs.rootlets.affine, ijk), values)
        if centerline.turn_deg:
            notes.append(
                f"the cord is turned by {abs(centerline.turn_deg):.0f} degrees about its long axis, by its rootlets: "
                "left, right, dorsal and ventral are counted from its own axes"
            )
    sections = measure_sections(cord.data, cord.affine, centerline)
    problems = _nested_label_problems(inputs.cord)
    problems += implausible_sections(cord.data, cord.affine, centerline, sections)
    pmj_arc = conus_arc = None
    if inputs.pmj is not None:
        centerline, pmj_arc = _extend_to_pmj(centerline, inputs.pmj)
    discs: list[Disc] = []
    spinal = extents = vertebral = None
    defects = find_mask_defects(sections)
    disc_notes: list[str] = []
    if inputs.has_discs:
        points = inputs.disc_points()
        conus_arc = place_conus(points, centerline)
        points.pop(CONUS_VALUE, None)
        # Beside a conus, which is a reference for the rootlets, discs need not bound a vertebra.
        are_optional = conus_arc is not None and inputs.rootlets is not None
        least = 0 if are_optional else 1 if found_discs else 2
        discs, disc_notes = place_discs(points, centerline, cord.affine, least=least)
        if inputs.vertebrae is not None:
            disc_notes = read_borders(inputs.vertebrae)[1] + disc_notes
        if not found_discs:
            try:
                vertebral = vertebral_levels(discs, centerline.cord_length, disc_notes)
            except LabelError:
                if not are_optional:
                    raise
                notes += [*disc_notes, "no two neighbouring discs are labelled: vertebral levels are left out"]
    if found_discs:
        discs, fill_notes = _fill_discs(discs, found_discs, centerline)
        notes += fill_notes
        with contextlib.suppress(LabelError):
            vertebral = vertebral_levels(discs, centerline.cord_length, disc_notes, numbering)
    if inputs.rootlets is not None:
        extents = _spinal_extents(inputs.rootlets, cord, centerline, distance_mm, defects)
        if lacks_orientation(inputs.rootlets) or lacks_orientation(inputs.cord):
            extents = _without_sides(extents)
        spinal = redefine_levels(extents, method).with_confidence(read_name_confidence(inputs.rootlets.path))
    if conus_arc is not None:
        notes += check_conus(conus_arc, discs, spinal)
    if inputs.discs is not None and vertebral is not None:
        notes += _kind_of_points_notes(points, centerline, extents, vertebral)
    name_sources = None if inputs.rootlets is None else read_name_sources(inputs.rootlets.path)
    for levels in (spinal, vertebral):
        if levels is not None:
            notes += levels.notes
            _check_below_pmj(levels, pmj_arc)
    if spinal is not None and vertebral is not None and not correspond(spinal, vertebral):
        notes.append("no spinal level has a vertebral level to be compared with: the correspondence table is empty")
    if inputs.rootlets is not None and name_sources is not None and "discs" in name_sources:
        notes.append(
            f"names of levels in {inputs.rootlets.name} come from the discs, says its sidecar: "
            "it does not show how spinal and vertebral levels correspond"
        )
    return SubjectLevels(
        cord=cord,
        centerline=centerline,
        reference=choose_reference(pmj_arc, discs, conus_arc),
        spinal=spinal,
        vertebral=vertebral,
        discs=discs,
        rootlets=inputs.rootlets,
        image=inputs.image,
        sources=inputs.volumes,
        settings={"Method": method, "DistanceMillimeters": distance_mm},
        extents=extents,
        mask_defects=tuple(defects),
        mask_problems=tuple(problems),
        name_sources=name_sources,
        numbering=numbering,
        notes=tuple(notes),
    )


def _fill_discs(given: Sequence[Disc], found: Sequence[Disc], centerline: Centerline) -> tuple[list[Disc], list[str]]:
    """Add discs that were found in the image to those that are given, in order along the cord; with notes."""
    discs = {disc.value: disc for disc in given}
    added = []
    for disc in found:
        if disc.value in discs or disc.point_mm is None:
            continue
        arc_mm = float(centerline.project(np.array(disc.point_mm)).arc[0])
        if all((arc_mm - other.arc_mm) * (disc.value - other.value) > 0 for other in discs.values()):
            discs[disc.value] = replace(disc, arc_mm=arc_mm)
            added.append(disc_name(disc.value))
    notes = [f"discs filled from the image: {', '.join(added)}"] if given and added else []
    return [discs[value] for value in sorted(discs)], notes


def _nested_label_problems(cord: Volume) -> list[str]:
    """Say that a map in place of a cord mask holds one region around another."""
    nested = nested_labels(cord)
    if nested is None:
        return []
    inner, outer = nested
    return [
        f"{cord.name} holds one region (value {outer}) around another ({inner}), such as the spinal canal around the "
        "cord: give the cord alone"
    ]


def _without_sides(levels: Levels) -> Levels:
    """Leave out the numbers of voxels on each side, and what follows from them, where left and right are not known."""
    note = "left and right are not known, so the numbers of voxels of left and right roots are left out (n_left_...)"
    kept = tuple(
        replace(level, roots={}, incomplete=tuple(re.sub(r"\((left|right) ", "(", text) for text in level.incomplete))
        for level in levels.levels
    )
    return replace(levels, levels=kept, notes=(*levels.notes, note))


def _fit_cord(cord: Volume, line: Volume | None) -> tuple[Centerline, list[str]]:
    """Fit the centerline of a cord mask, or take a given line along it; with notes."""
    centerline = fit_centerline(cord.data, cord.affine)
    notes: list[str] = []
    if line is not None:
        voxels, notes = binary_mask(line)
        centerline = along_cord(fit_centerline(voxels, line.affine, what="centerline"), centerline)
    return centerline, [*notes, *centerline.notes]


def _extend_to_pmj(centerline: Centerline, pmj: Volume) -> tuple[Centerline, float]:
    """Continue a centerline to the PMJ; returns it with the arc length of the PMJ in mm."""
    point = pmj_point(pmj)
    check_beside_cord(float(centerline.project(point).distance[0]), "the PMJ label")
    extended = centerline.extended_to(point)
    return extended, float(extended.project(point).arc[0])


def _spinal_extents(
    rootlets: Volume, cord: Volume, centerline: Centerline, distance_mm: float, defects: Sequence[MaskDefect]
) -> Levels:
    ijk, values = labelled_voxels(rootlets)
    cord_mm = apply_affine(cord.affine, nonzero_voxels(cord.data))
    check_beside_cord_mask(rootlets, cord, cord_mm, centerline)
    return spinal_levels(
        ijk,
        values,
        rootlets.affine,
        rootlets.data.shape,
        cord_mm,
        centerline,
        "extent",
        distance_mm,
        defects,
    )


def _kind_of_points_notes(
    points: dict[int, np.ndarray], centerline: Centerline, extents: Levels | None, vertebral: Levels
) -> list[str]:
    """Note that disc labels are labels of vertebral bodies, or may be; ``extents`` are the spinal levels."""
    usual = published_bias()
    displaced = [
        pair.difference_mm - usual[pair.vertebral.name, pair.spinal.name]
        for pair in ([] if extents is None else correspond(extents, vertebral))
        if pair.pairing == "shifted" and (pair.vertebral.name, pair.spinal.name) in usual
    ]
    return kind_of_points_notes(
        median_distance_mm(points, centerline),
        float(np.mean(displaced)) if displaced else None,
        float(np.median([level.length_mm for level in vertebral.levels])),
    )


def _check_below_pmj(levels: Levels, pmj_arc_mm: float | None) -> None:
    """Raise a `LabelError` if the first level lies above the PMJ."""
    first = levels.levels[0]
    if pmj_arc_mm is not None and first.midpoint_mm < pmj_arc_mm:
        raise LabelError(
            f"the PMJ label lies below {levels.kind} level {first.name}; it belongs at the top of the cord, above C1"
        )
