"""Files of the measures of one scan: tables in the columns of the Spinal Cord Toolbox, figure, and record."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sct_rootlets.bids import FIGURE_TYPES, MEASURE_ENDINGS, MEASURE_RECORD_ENDING, stem
from sct_rootlets.errors import LabelError
from sct_rootlets.flags import sidecar_flags
from sct_rootlets.levels import Kind
from sct_rootlets.measure.cord_levels import CordLevels, MeasuredLevel
from sct_rootlets.measure.norms import SOURCE
from sct_rootlets.measure.points import border_points, centre_of_mass, draw_points, middle_points
from sct_rootlets.measure.scan import CORD_LABEL, MeasuredImage, Measures
from sct_rootlets.measure.shape import MEASURES, NORMED, SIZES, slice_levels
from sct_rootlets.measure.template_space import interpolate_to_template
from sct_rootlets.nifti import save_labels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.output.scan import Scan
from sct_rootlets.sidecar import generated_by

_LOGGER = logging.getLogger(__name__)

#: Columns of levels, by kind, as SCT and its users call them.
LEVEL_COLUMNS: dict[Kind, str] = {"spinal": "SpinalLevel", "vertebral": "VertLevel"}
SHAPE_ENDING, SIGNAL_ENDING, LEVEL_LESIONS_ENDING = MEASURE_ENDINGS.values()
SLICES_ENDING = "shape_perslice.csv"
PAM50_ENDING = "shape_PAM50.csv"
LESIONS_ENDING = "lesions.csv"
#: Labels of where levels begin, with one more value at the end, and of their middles; and the table of all points.
BORDER_ENDINGS: dict[Kind, str] = {
    "spinal": "label-spinalBorders_dlabel.nii.gz",
    "vertebral": "label-vertebralBorders_dlabel.nii.gz",
}
MIDDLE_ENDINGS: dict[Kind, str] = {
    "spinal": "label-spinalLevels_dlabel.nii.gz",
    "vertebral": "label-vertebralLevels_dlabel.nii.gz",
}
POINTS_ENDING = "points.csv"
SERIES_ENDING = "series.csv"
#: Columns of the table of lesions, which may have no rows.
LESION_COLUMNS = (
    *("lesion", "volume_mm3", "length_mm", "rostral_mm", "caudal_mm", "middle_mm", "reference"),
    *("greatest_axial_share", "in_cord", *LEVEL_COLUMNS.values()),
)
#: Cell of a level that an image does not show.
NOT_IN_VIEW = "n/a"
#: Measures without a unit, which need more decimals than mm.
_RATIOS = ("eccentricity", "solidity")


def measure_files(
    prefix: str,
    images: Iterable[str] = (),
    lesions: bool = False,
    figure: bool = True,
    points: Iterable[Kind] = (),
    in_template: bool = False,
) -> list[str]:
    """Names of the files that `save_measures` may write.

    Parameters
    ----------
    prefix : str
    images : iterable of str
        Names of the images that are measured.
    lesions, figure : bool
        Whether lesions are measured, and the figure is drawn.
    points : iterable of {"spinal", "vertebral"}
        Kinds of levels whose points are written.
    in_template : bool
        Whether the shape is written in PAM50's dimensions.
    """
    images = list(images)
    endings = [SHAPE_ENDING, SLICES_ENDING, MEASURE_RECORD_ENDING]
    endings += [PAM50_ENDING] if in_template else []
    endings += [SIGNAL_ENDING] if images else []
    endings += [f"{stem(name)}_{SERIES_ENDING}" for name in images]
    endings += [LESIONS_ENDING, LEVEL_LESIONS_ENDING] if lesions else []
    endings += list(FIGURE_ENDINGS) if figure else []
    for kind in points:
        endings += [POINTS_ENDING, BORDER_ENDINGS[kind], MIDDLE_ENDINGS[kind]]
    return [f"{prefix}_{ending}" for ending in endings]


#: Endings of the figures (`sct_rootlets.report.measures.FIGURES`), known without loading Matplotlib.
FIGURE_ENDINGS = tuple(f"shape.{kind}" for kind in FIGURE_TYPES)


def measure_guard(prefix: str, inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of measures must not replace."""
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=f"{prefix}_{MEASURE_RECORD_ENDING}")


def save_measures(
    measures: Measures,
    folder: str | os.PathLike[str],
    prefix: str,
    figure: bool = True,
    points: bool = False,
    in_template: bool = False,
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
    may_overwrite: bool = True,
    facts: Mapping[str, object] | None = None,
    scan: Scan | None = None,
) -> list[Path]:
    """Write the measures of one scan into a folder: all files, or none.

    Parameters
    ----------
    measures : Measures
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    prefix : str
        Beginning of the names of files, and content of the column ``Filename`` of the tables of shape.
    figure : bool
        Draw the figure.
    points : bool
        Write the points of levels.
    in_template : bool
        Write the shape in PAM50's dimensions.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    inputs : sequence of Path
        Files that are never replaced.
    may_overwrite : bool
        Whether the error message may name the option ``-overwrite``.
    facts : mapping, optional
        What the record holds beside.
    scan : Scan, optional
        The scan that is measured; measures of another scan are not replaced.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced.
    LabelError
        If points coincide, or no vertebral level can be brought into PAM50's dimensions.
    """
    record = f"{prefix}_{MEASURE_RECORD_ENDING}"
    tables = _tables(measures)
    if in_template:
        rows = template_rows(measures)
        if not rows:
            raise LabelError(
                "the shape cannot be written in PAM50's dimensions: no complete vertebral level from C1 to T3 lies in "
                "the cord mask; compute the levels with discs (-ldisc)"
            )
        tables[PAM50_ENDING] = rows
    guard = replace(measure_guard(prefix, inputs, overwrite), scan=scan)
    with staged_outputs(folder, guard=guard if may_overwrite else guard.without_options()) as stage:
        if points:
            tables[POINTS_ENDING] = point_rows(measures)
            _save_points(stage, prefix, measures.cord)
        for ending, rows in tables.items():
            write_table(stage / f"{prefix}_{ending}", tuple(rows[0]) if rows else LESION_COLUMNS, rows)
        if figure:
            from sct_rootlets.output.figures import save_figures
            from sct_rootlets.report.measures import FIGURES

            save_figures(FIGURES, measures, stage, f"{prefix}_")
        write_json(stage / record, _record(measures, facts or {}))
        seal_sidecars(stage, Path(folder), record, scan)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _record(measures: Measures, facts: Mapping[str, object]) -> dict[str, object]:
    return {
        "Description": "Shape, signal and lesions of the spinal cord per level",
        "GeneratedBy": generated_by(),
        "Sources": [measures.cord.cord.name, *(volume.name for volume in measures.cord.maps.values())],
        "Inputs": measures.sources,
        "PlacedByHeader": [image.name for image in measures.images if image.is_placed_by_header],
        "Reference": measures.cord.reference,
        "Levels": dict(measures.cord.facts),
        "Norms": SOURCE,
        "Flags": sidecar_flags(measures.flags),
        "Notes": list(measures.notes),
        **facts,
    }


def _tables(measures: Measures) -> dict[str, list[dict[str, object]]]:
    """Rows of each table, by the ending of its file; tables without rows are left out."""
    tables = {SHAPE_ENDING: shape_rows(measures), SLICES_ENDING: slice_rows(measures)}
    single = [image for image in measures.images if image.statistics]
    tables[SIGNAL_ENDING] = [row for image in single for row in signal_rows(image)]
    for image in measures.images:
        if image.series:
            tables[f"{stem(image.name)}_{SERIES_ENDING}"] = series_rows(image)
    if measures.lesions is not None:
        tables[LESIONS_ENDING] = lesion_rows(measures)
        tables[LEVEL_LESIONS_ENDING] = level_lesion_rows(measures)
    return {ending: rows for ending, rows in tables.items() if rows or ending == LESIONS_ENDING}


def shape_rows(measures: Measures) -> list[dict[str, object]]:
    """Rows of the table of shape, one a level."""
    cord = measures.cord
    rows: list[dict[str, object]] = []
    for shape in measures.shapes:
        row: dict[str, object] = {
            "Filename": cord.cord.name,
            "Slice (I->S)": slice_text(shape.slices),
            **_level_cells(shape.level),
            "DistancePMJ": _distance_pmj(cord, shape.slices),
        }
        for name in MEASURES:
            row[f"MEAN({name})"] = _measure_cell(name, shape.mean[name])
            row[f"STD({name})"] = _measure_cell(name, shape.sd[name])
        row["SUM(length)"] = _cell(shape.length_mm)
        for name in (*SIZES, "length"):
            row[f"ENDS_SD({name})"] = _cell(shape.ends_sd.get(name, np.nan))
        for name in NORMED:
            row[f"NORM_MEAN({name})"] = _cell(shape.norm_mean.get(name, np.nan))
            row[f"NORM_SD({name})"] = _cell(shape.norm_sd.get(name, np.nan))
            row[f"NORM_Z({name})"] = _cell(shape.deviation(name))
        row["complete"] = shape.level.complete
        row["remarks"] = "; ".join(shape.remarks)
        rows.append(row)
    return rows


def slice_rows(measures: Measures) -> list[dict[str, object]]:
    """Rows of the table of shape, one a slice, from inferior to superior."""
    cord, slices = measures.cord, measures.slices
    levels = {kind: slice_levels(volume.data)[slices.slices] for kind, volume in cord.maps.items()}
    positions = cord.slice_arc_mm[slices.slices] - cord.reference_mm
    rows: list[dict[str, object]] = []
    for index, number in enumerate(slices.slices):
        row: dict[str, object] = {"Filename": cord.cord.name, "Slice (I->S)": int(number)}
        for kind, column in LEVEL_COLUMNS.items():
            value = int(levels[kind][index]) if kind in levels else 0
            row[column] = value or None
        row["DistancePMJ"] = _cell(positions[index]) if cord.reference == "PMJ" else None
        row["position_mm"], row["reference"] = _cell(positions[index]), cord.reference
        for name in MEASURES:
            row[f"MEAN({name})"] = _measure_cell(name, slices.values[name][index])
        row["SUM(length)"] = _cell(slices.length_mm[index])
        rows.append(row)
    return rows


def template_rows(measures: Measures) -> list[dict[str, object]]:
    """Rows of the table of shape in PAM50's dimensions, one a slice of the template."""
    shapes = interpolate_to_template(measures.slices, measures.cord)
    rows: list[dict[str, object]] = []
    for index, number in enumerate(shapes.slices):
        norm_mean, norm_sd = measures.cord.norm(shapes.coordinate[index : index + 1])
        row: dict[str, object] = {
            "Filename": measures.cord.cord.name,
            "Slice (I->S)": int(number),
            "VertLevel": int(shapes.vertebrae[index]),
        }
        for name in MEASURES:
            row[f"MEAN({name})"] = _measure_cell(name, shapes.values[name][index])
        for name in NORMED:
            row[f"NORM_MEAN({name})"] = _cell(norm_mean.get(name, np.nan))
            row[f"NORM_SD({name})"] = _cell(norm_sd.get(name, np.nan))
        rows.append(row)
    return rows


def signal_rows(image: MeasuredImage) -> list[dict[str, object]]:
    """Rows of the table of signal, one a region of a level and a mask."""
    rows: list[dict[str, object]] = []
    for label, regions in image.statistics.items():
        for found in regions:
            in_view = found.n_voxels > 0
            rows.append(
                {
                    "Filename": image.name,
                    "Label": label,
                    **_level_cells(found.region.level),
                    "part": found.region.part or "all",
                    "WA()": _number(found.mean) if in_view else NOT_IN_VIEW,
                    "MEDIAN()": _number(found.median) if in_view else NOT_IN_VIEW,
                    "STD()": _number(found.sd) if in_view else NOT_IN_VIEW,
                    "Size [vox]": found.size_voxels,
                    "n_voxels": found.n_voxels,
                    "volume_mm3": found.volume_mm3,
                    "covered": found.covered,
                    "remarks": "; ".join(found.remarks),
                }
            )
    return rows


def series_rows(image: MeasuredImage) -> list[dict[str, object]]:
    """Rows of the table of a time series, one a volume; columns are levels and their parts."""
    rows: list[dict[str, object]] = []
    for index in range(len(next(iter(image.series.values())))):
        row: dict[str, object] = {"volume": index, "time_s": _number(index * image.seconds)}
        for label, values in image.series.items():
            for region, value in zip(image.regions[label], values[index], strict=True):
                prefix = "" if label == CORD_LABEL else f"{label} "
                cell = _number(value)
                row[f"{prefix}{region.level.kind} {region.name}"] = NOT_IN_VIEW if cell is None else cell
        rows.append(row)
    return rows


def lesion_rows(measures: Measures) -> list[dict[str, object]]:
    """Rows of the table of lesions, one a lesion."""
    start = measures.cord.reference_mm
    return [
        {
            "lesion": lesion.number,
            "volume_mm3": lesion.volume_mm3,
            "length_mm": lesion.length_mm,
            "rostral_mm": lesion.rostral_mm - start,
            "caudal_mm": lesion.caudal_mm - start,
            "middle_mm": lesion.middle_mm - start,
            "reference": measures.cord.reference,
            "greatest_axial_share": _cell(lesion.axial_share),
            "in_cord": lesion.in_cord,
            **{
                column: "; ".join(
                    f"{level.name} {volume / lesion.volume_mm3:.0%}"
                    for level, volume in lesion.volumes_mm3.items()
                    if level.kind == kind
                )
                for kind, column in LEVEL_COLUMNS.items()
            },
        }
        for lesion in measures.lesions or ()
    ]


def level_lesion_rows(measures: Measures) -> list[dict[str, object]]:
    """Rows of the table of lesions, one a level."""
    return [
        {
            **_level_cells(found.level),
            "n_lesions": found.number,
            "volume_mm3": found.volume_mm3,
            "level_volume_mm3": found.level_volume_mm3,
            "volume_share": _cell(found.volume_share),
            "length_mm": found.length_mm,
            "greatest_axial_share": found.axial_share,
        }
        for found in measures.level_lesions
    ]


def _save_points(folder: Path, prefix: str, cord: CordLevels) -> None:
    """Write where levels begin, and their middles, as single voxels on the grid of the levels."""
    for kind in cord.levels:
        save_labels(
            folder / f"{prefix}_{BORDER_ENDINGS[kind]}", draw_points(border_points(cord, kind), cord.grid), cord.grid
        )
        save_labels(
            folder / f"{prefix}_{MIDDLE_ENDINGS[kind]}", draw_points(middle_points(cord, kind), cord.grid), cord.grid
        )


def point_rows(measures: Measures) -> list[dict[str, object]]:
    """Rows of the table of points, one a level: centre of mass, and the ends on the centerline, RAS+ mm."""
    cord = measures.cord
    rows: list[dict[str, object]] = []
    for level in cord.all_levels:
        ends = cord.centerline.position([level.rostral_mm, (level.rostral_mm + level.caudal_mm) / 2, level.caudal_mm])
        points = {"centre": centre_of_mass(cord, level), "rostral": ends[0], "middle": ends[1], "caudal": ends[2]}
        rows.append(
            {
                **_level_cells(level),
                **{
                    f"{name}_{axis}_mm": _cell(value)
                    for name, point in points.items()
                    for axis, value in zip("xyz", point, strict=True)
                },
            }
        )
    return rows


def _level_cells(level: MeasuredLevel) -> dict[str, object]:
    """The value of a level in the column of its kind, the other one empty, and its name."""
    cells: dict[str, object] = {
        column: level.value if kind == level.kind else None for kind, column in LEVEL_COLUMNS.items()
    }
    return {**cells, "name": level.name, "kind": level.kind}


def _distance_pmj(cord: CordLevels, slices: np.ndarray) -> object:
    """Mean distance of slices from the PMJ in mm; None where positions do not count from it."""
    if cord.reference != "PMJ" or not len(slices):
        return None
    return _cell(float(np.nanmean(cord.slice_arc_mm[slices])) - cord.reference_mm)


def slice_text(slices: np.ndarray) -> str:
    """Write slice numbers as the Spinal Cord Toolbox does.

    Examples
    --------
    >>> slice_text(np.array([3, 4, 5, 8]))
    '3:5;8'
    """
    if not len(slices):
        return ""
    runs = np.split(slices, np.flatnonzero(np.diff(slices) > 1) + 1)
    return ";".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}:{run[-1]}" for run in runs)


def _cell(value: float) -> float | None:
    """A number as tables hold it; empty where it is not known."""
    return float(value) if np.isfinite(value) else None


def _measure_cell(name: str, value: float) -> object:
    if name in _RATIOS and np.isfinite(value):
        return f"{value:.5f}"
    return _cell(value)


def _number(value: float) -> str | None:
    """A number of any unit, with six significant digits; empty where it is not known."""
    return f"{value:.6g}" if np.isfinite(value) else None


def summary(measures: Measures, written: Sequence[Path]) -> list[str]:
    """Lines that the command prints: area of each level, signal of each level, lesions, notes, and files."""
    lines = []
    for kind, levels in measures.cord.levels.items():
        del levels
        lines.append(f"{kind} levels: area (mm², ± SD between slices), AP × RL diameter (mm)")
        for shape in measures.shapes:
            if shape.level.kind == kind:
                lines.append(f"  {shape.level.name:<4}{_shape_text(shape.mean, shape.sd)}{_norm_text(shape)}")
    for image in measures.images:
        lines += _signal_lines(image)
    for lesion in measures.lesions or ():
        where = ", ".join(level.name for level in lesion.volumes_mm3 if level.kind == "spinal")
        lines.append(f"lesion {lesion.number}: {lesion.volume_mm3:.0f} mm³, {lesion.length_mm:.0f} mm long  {where}")
    lines += [f"note: {note}" for note in measures.notes]
    lines += [f"note: {flag.note}" for flag in measures.flags if flag.is_raised]
    return [*lines, "written:", *(f"  {path}" for path in written)]


def _shape_text(mean: Mapping[str, float], sd: Mapping[str, float]) -> str:
    if not np.isfinite(mean["area"]):
        return "   not in the cord mask"
    return f"{mean['area']:7.1f} ± {sd['area']:.1f}  {mean['diameter_AP']:5.1f} × {mean['diameter_RL']:.1f}"


def _norm_text(shape: object) -> str:
    deviation = shape.deviation("area")  # type: ignore[attr-defined]
    return f"  area {deviation:+.1f} SD from healthy adults" if np.isfinite(deviation) else ""


def _signal_lines(image: MeasuredImage) -> list[str]:
    lines = []
    for label, regions in image.statistics.items():
        lines.append(f"{image.name}, {label}: mean ± SD (share of the level in view)")
        lines += [
            f"  {found.region.level.kind:<10}{found.region.name:<18}"
            + (
                f"{found.mean:10.5g} ± {found.sd:.4g} ({found.covered:.0%})"
                if found.n_voxels
                else f"{NOT_IN_VIEW:>10}  {'; '.join(found.remarks)}"
            )
            for found in regions
        ]
    for label, values in image.series.items():
        lines.append(f"{image.name}, {label}: time series of {len(values)} volumes, {values.shape[1]} regions")
    return lines
