"""One subject from label volumes to levels, tables and files: the front door of the package.

The science is in `centerline`, `spinal`, `vertebral` and `correspondence`; this module reads volumes, calls them
in order and writes what comes out.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline, along_cord, fit_centerline
from sct_rootlets.correspondence import (
    PAIR_COLUMNS,
    PUBLISHED_COLUMNS,
    Pair,
    Reference,
    choose_reference,
    correspond,
    level_rows,
    pair_rows,
    published_rows,
)
from sct_rootlets.errors import LabelError, SctRootletsError
from sct_rootlets.image import (
    Volume,
    VolumeLike,
    binary_mask,
    check_same_grid,
    labelled_voxels,
    load_volume,
    save_labels,
    slice_range,
    staged_outputs,
)
from sct_rootlets.levels import Kind, Level, Levels, level_color
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

#: Endings of the tables in the columns of the published scripts.
PUBLISHED_ENDINGS = {"spinal": "rootlets_pmj_distance.csv", "vertebral": "pmj_distance_vertebral_disc.csv"}
#: Endings of label maps that were segmented on the way.
SEGMENTED_ENDINGS = {"cord": "label-SC_seg.nii.gz", "rootlets": "label-rootlets_dseg.nii.gz"}
#: Names of the label maps in BIDS file names.
LABEL_NAMES: dict[str, str] = {"spinal": "spinalLevels", "vertebral": "vertebralLevels"}


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
    confidence : dict of int to float
        Probability of the name of each spinal level, by value, where rootlets were segmented.
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
    confidence: dict[int, float] = field(default_factory=dict)

    @property
    def kinds(self) -> list[Levels]:
        """The kinds of levels that there are: spinal first."""
        return [levels for levels in (self.spinal, self.vertebral) if levels is not None]

    @property
    def prefix(self) -> str:
        """What names of output files begin with, by default."""
        return output_prefix(self.image or self.cord)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs of vertebral and spinal levels; empty if one kind is missing."""
        if self.spinal is None or self.vertebral is None:
            return []
        return correspond(self.spinal, self.vertebral)

    @property
    def levels(self) -> pd.DataFrame:
        """The level table, one row a level (columns: ``docs/commands.md``)."""
        import pandas as pd

        return pd.DataFrame([row for levels in self.kinds for row in self.level_rows(levels)])

    @property
    def correspondence(self) -> pd.DataFrame:
        """The correspondence table, one row a pair of levels (columns: ``docs/commands.md``)."""
        import pandas as pd

        return pd.DataFrame(self._pair_rows(), columns=list(PAIR_COLUMNS))

    def level_rows(self, levels: Levels) -> list[dict[str, object]]:
        """Rows of the level table for one kind of level."""
        counts = np.bincount(levels.label(self._cord_arc), minlength=256)
        return level_rows(levels, self.reference, self._slices, lambda level: int(counts[level.value]))

    def _pair_rows(self) -> list[dict[str, object]]:
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
        labels[self.cord.data] = levels.label(self._cord_arc)
        return labels

    @cached_property
    def _cord_arc(self) -> np.ndarray:
        """Arc length of each voxel of the cord, in array order."""
        return self.centerline.project(apply_affine(self.cord.affine, np.argwhere(self.cord.data))).arc

    def _slices(self, level: Level) -> tuple[int, int]:
        ends = self.centerline.position(np.array([level.rostral_mm, level.caudal_mm]))
        return slice_range(ends, self.cord.affine, self.cord.data.shape)

    def save(
        self, folder: str | os.PathLike[str], prefix: str | None = None, figure: bool = True, published: bool = False
    ) -> list[Path]:
        """Write level maps with sidecars, tables and a figure into a folder; all of them or none.

        Parameters
        ----------
        folder : path
            Made if it is missing; files of the same names are replaced.
        prefix : str, optional
            What file names begin with; by default the name of the image, or of the cord mask without its suffix.
        figure : bool
            Draw the figure.
        published : bool
            Also write the tables of the published scripts (`published_rows`).

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        ImageError
            If the folder cannot be written to.
        SctRootletsError
            If the published tables are asked for without a PMJ.
        """
        if published and self.reference.name != "PMJ":
            raise SctRootletsError("the published tables hold distances from the PMJ: give its label (-pmj)")
        prefix = prefix or self.prefix
        inputs = [volume.path for volume in self.sources.values() if volume.path is not None]
        with staged_outputs(folder, keep=inputs) as stage:
            for levels in self.kinds:
                self._save_map(stage, prefix, levels)
            save_segmented(stage, prefix, self.segmented, self.sidecars)
            self._save_tables(stage, prefix, published)
            if figure:
                from sct_rootlets.report.figures import save_levels_figure

                save_levels_figure(self, stage / f"{prefix}_levels.png")
            names = sorted(path.name for path in stage.iterdir())
        return [Path(folder) / name for name in names]

    def _save_map(self, folder: Path, prefix: str, levels: Levels) -> None:
        stem = f"{prefix}_label-{LABEL_NAMES[levels.kind]}_dseg"
        save_labels(folder / f"{stem}.nii.gz", self.level_map(levels.kind), self.cord)
        shown = set(np.unique(levels.label(self._cord_arc)).tolist())
        write_table(
            folder / f"{stem}.tsv",
            ("index", "name", "color"),
            [
                {"index": level.value, "name": level.name, "color": level_color(level.name)}
                for level in levels.levels
                if level.value in shown
            ],
            separator="\t",
        )
        sidecar = {
            "Description": f"Spinal cord labelled by {levels.kind} level (method: {levels.method})",
            "SpatialReference": self.cord.name,
            "GeneratedBy": [{"Name": "sct_rootlets", "Version": version()}],
            "Sources": [volume.name for volume in self.sources.values()],
            "Inputs": {kind: volume.name for kind, volume in self.sources.items()},
            **self.settings,
            "Reference": self.reference.name,
            "Notes": list(self.notes),
        }
        write_json(folder / f"{stem}.json", sidecar)

    def _save_tables(self, folder: Path, prefix: str, published: bool) -> None:
        rows: dict[str, list[dict[str, object]]] = {levels.kind: self.level_rows(levels) for levels in self.kinds}
        everything = [row for kind_rows in rows.values() for row in kind_rows]
        write_table(folder / f"{prefix}_levels.csv", tuple(everything[0]), everything)
        if len(self.kinds) == 2:
            write_table(folder / f"{prefix}_correspondence.csv", PAIR_COLUMNS, self._pair_rows())
        if published:
            discs = "discs" if "discs" in self.sources else "vertebrae"
            for kind, source in (("spinal", "rootlets"), ("vertebral", discs)):
                if kind in rows:
                    table = published_rows(rows[kind], self.sources[source].name)
                    write_table(folder / f"{prefix}_{PUBLISHED_ENDINGS[kind]}", PUBLISHED_COLUMNS, table)


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


def names_from_discs(labels: Path | None) -> bool | None:
    """Whether discs decided the names in a label map, as its sidecar says.

    Parameters
    ----------
    labels : Path, optional
        The NIfTI file.

    Returns
    -------
    bool or None
        None where no sidecar says so.
    """
    if labels is None:
        return None
    try:
        stem = re.sub(r"\.nii(\.gz)?$", "", labels.name, flags=re.IGNORECASE)
        content = json.loads(labels.with_name(f"{stem}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    said = content.get("NamesFromDiscs") if isinstance(content, dict) else None
    return said if isinstance(said, bool) else None


def output_prefix(volume: Volume) -> str:
    """What output names begin with: a file's name without ending, label entity, suffix or the like.

    Examples
    --------
    >>> import numpy as np
    >>> cord = np.zeros((2, 2, 2))
    >>> output_prefix(Volume(cord, np.eye(4), "sub-01_T2w_label-SC_seg.nii.gz"))
    'sub-01_T2w'
    >>> output_prefix(Volume(cord, np.eye(4), "t2_seg-manual.nii.gz"))
    't2'
    """
    stem = re.sub(r"\.nii(\.gz)?$", "", volume.name, flags=re.IGNORECASE)
    short = re.sub(r"(_(label|desc)-[a-zA-Z0-9]+)*_(seg|dseg|mask|probseg)([-_]manual)?$", "", stem)
    return short or stem


def earlier_outputs(folder: str | os.PathLike[str], prefix: str, written: Sequence[Path]) -> list[Path]:
    """Files in a folder that an earlier run of the same prefix wrote, and the last one did not.

    Parameters
    ----------
    folder : path
    prefix : str
    written : sequence of Path
        What the last run wrote.
    """
    endings = ["levels.csv", "levels.png", "correspondence.csv", *PUBLISHED_ENDINGS.values()]
    endings += [name.replace(".nii.gz", end) for name in SEGMENTED_ENDINGS.values() for end in (".nii.gz", ".json")]
    endings += [f"label-{name}_dseg.{ending}" for name in LABEL_NAMES.values() for ending in ("nii.gz", "json", "tsv")]
    paths = [Path(folder) / f"{prefix}_{ending}" for ending in endings]
    return [path for path in paths if path.exists() and path not in written]


def save_segmented(
    folder: Path, prefix: str, segmented: dict[str, Volume], sidecars: dict[str, dict[str, Any]]
) -> None:
    """Write maps that were segmented on the way, ``cord`` and ``rootlets``, with their sidecars."""
    for name, volume in segmented.items():
        path = folder / f"{prefix}_{SEGMENTED_ENDINGS[name]}"
        save_labels(path, volume.data, volume)
        write_json(path.with_name(path.name.replace(".nii.gz", ".json")), sidecars[name])


def write_json(path: Path, content: Any) -> None:
    """Write a sidecar."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]], separator: str = ",") -> None:
    """Write rows as a delimited text file: numbers in mm to 0.001, nothing where a value is None."""

    def text(value: object) -> object:
        return f"{value:.3f}" if isinstance(value, float) else value

    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text(row[column]) for column in columns] for row in rows)


def version() -> str:
    """Version of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("sct_rootlets")
    except PackageNotFoundError:
        return "unknown"
