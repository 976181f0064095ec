"""Evaluation of predictions of one or two methods against reference rootlet maps, from files to tables."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sct_rootlets.errors import DatasetError, LabelError
from sct_rootlets.evaluation.compare import compare_contrasts, compare_methods, compare_pairs_of_contrasts
from sct_rootlets.evaluation.files import (
    Sources,
    complete_scan_names,
    cord_path,
    find_files,
    match_scans,
    pair_single_file,
    parse_scan_name,
)
from sct_rootlets.evaluation.maps import align_axes, level_map, load_same_grid
from sct_rootlets.evaluation.scan import Cord, ScanScores, evaluate_scan
from sct_rootlets.evaluation.study import Study
from sct_rootlets.evaluation.tables import count_statuses, make_long_table, summarize
from sct_rootlets.evaluation.text_table import check_all_given, read_text_table
from sct_rootlets.image import binary_mask
from sct_rootlets.levels import level_value
from sct_rootlets.nifti import header_notes

_LOGGER = logging.getLogger(__name__)

#: Columns of a table of contrasts that may name the scans, in order of precedence.
SCAN_COLUMNS = ("scan", "participant_id")


def parse_levels(text: str) -> tuple[int, ...]:
    """Parse a range (``C2:T1``) or a list (``C3,C5``) of spinal levels into their values.

    Raises
    ------
    DatasetError
        If a name is no spinal level, or a range runs upwards.

    Examples
    --------
    >>> parse_levels("C7:T1"), parse_levels("C3,C5")
    ((7, 8, 9), (3, 5))
    """
    parts = [part.strip() for part in text.replace(":", ",").split(",")]
    try:
        values = [level_value(part, "spinal") for part in parts]
    except ValueError as error:
        raise DatasetError(f"{text!r} does not name spinal levels; write a range such as C2:T1, or C3,C5") from error
    if ":" not in text:
        return tuple(sorted(set(values)))
    if len(values) != 2 or values[0] > values[1]:
        raise DatasetError(f"{text!r} is not a range of levels from rostral to caudal, such as C2:T1")
    return tuple(range(values[0], values[1] + 1))


def evaluate_files(
    predictions: Mapping[str, Sources],
    references: Sources,
    cords: Sources | None = None,
    contrasts: str | os.PathLike[str] | None = None,
    values: Iterable[int] | None = None,
) -> Study:
    """Score predictions of one or two methods against references, matched by the names of the files.

    Parameters
    ----------
    predictions : mapping of str to sequence of path
        Files, folders or patterns (`sct_rootlets.evaluation.files.find_files`) by method, one or two. A single file is
        compared with a single reference whatever their names.
    references : sequence of path
    cords : sequence of path, optional
        Cord masks along which ends of levels are measured; by default ends are measured along the superior axis.
    contrasts : path, optional
        Tab-separated table with the columns ``contrast`` and ``scan`` (such as ``sub-01_T2w``) or
        ``participant_id``; by default contrasts come from the names of the files.
    values : iterable of int, optional
        Levels to score; by default all that a prediction or its reference holds.

    Returns
    -------
    Study
        Tables ``levels``, ``scans``, ``summary``, ``statuses``, and, where there is something to compare,
        ``methods``, ``contrasts`` and ``contrast_pairs``.

    Raises
    ------
    SctRootletsError
        If a file is unreadable, no rootlet map or on another grid, nothing matches, or two methods share fewer
        than two subjects.
    """
    files = _ScoredFiles.find(predictions, references, cords)
    tables, notes = _score_files(files, None if values is None else tuple(values))
    if contrasts is not None:
        tables = _set_contrasts(tables, Path(contrasts))
    for table in tables.values():
        table["contrast"] = table.contrast.replace("", "unknown")
    methods = list(files.predictions)
    tables = _add_statistics(tables, methods, requires_contrasts=contrasts is not None)
    about = {"methods": methods, "along": "superior axis" if cords is None else "cord"}
    return Study(kind="references", tables=tables, notes=notes, about=about)


@dataclass(frozen=True)
class _ScoredFiles:
    """Files by scan: predictions of each method, references, and cord masks (None if none are used)."""

    predictions: dict[str, dict[str, Path]]
    references: dict[str, Path]
    cords: dict[str, Path] | None

    @classmethod
    def find(cls, predictions: Mapping[str, Sources], references: Sources, cords: Sources | None) -> _ScoredFiles:
        of_references = find_files(references, "rootlet maps")
        of_methods = [
            pair_single_file(find_files(sources, "rootlet maps"), of_references) for sources in predictions.values()
        ]
        of_cords = {} if cords is None else pair_single_file(find_files(cords, "cord masks"), of_references)
        of_references, of_cords, *of_methods = complete_scan_names(of_references, of_cords, *of_methods)
        return cls(dict(zip(predictions, of_methods, strict=True)), of_references, None if cords is None else of_cords)


def _score_files(
    files: _ScoredFiles, values: tuple[int, ...] | None
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Make the tables of levels and scans of all methods; return notes, too."""
    levels: list[pd.DataFrame] = []
    scans: list[dict[str, object]] = []
    notes: list[str] = []
    for method, of_method in files.predictions.items():
        role = "predictions" if len(files.predictions) == 1 else method
        matched = match_scans({role: of_method, "references": files.references})
        notes += matched.notes
        for number, key in enumerate(matched.scans, start=1):
            _LOGGER.info("scoring %s: scan %d of %d", key, number, len(matched.scans))
            cord = None if files.cords is None else cord_path(files.cords, key)
            scores = _score_scan(of_method[key], files.references[key], cord, values)
            name = parse_scan_name(Path(f"{key}.nii.gz"))
            identity = {"method": method, "scan": key, "subject": name.subject, "contrast": name.contrast}
            levels.append(scores.levels.assign(**identity)[[*identity, *scores.levels.columns]])
            scans.append(identity | scores.scan)
            notes += [f"{method}, {key}: {note}" for note in scores.notes]
    filled = [table for table in levels if len(table)]
    if not filled:
        raise DatasetError("predictions and references are all empty: there is nothing to score")
    tables = {"levels": pd.concat(filled, ignore_index=True), "scans": pd.DataFrame(scans)}
    return tables, tuple(dict.fromkeys(notes))


def _score_scan(prediction: Path, reference: Path, cord: Path | None, values: tuple[int, ...] | None) -> ScanScores:
    volumes = load_same_grid([reference, prediction] if cord is None else [reference, prediction, cord])
    affine = volumes[0].affine
    reference_labels, labels = (align_axes(level_map(volume), affine) for volume in volumes[:2])
    measured = None
    if cord is not None:
        mask, _ = binary_mask(volumes[2])
        try:
            measured = Cord.from_mask(align_axes(replace(volumes[2], data=mask), affine), affine)
        except LabelError as error:
            raise LabelError(f"{cord}: {error}") from error
    scores = evaluate_scan(labels, reference_labels, affine, measured, values)
    return replace(scores, notes=(*header_notes(*volumes), *scores.notes))


def _set_contrasts(tables: dict[str, pd.DataFrame], path: Path) -> dict[str, pd.DataFrame]:
    """Replace the contrasts of the file names by those of a table."""
    given = read_text_table(path)
    column = next((name for name in SCAN_COLUMNS if name in given), None)
    if column is None or "contrast" not in given:
        raise DatasetError(
            f"{path} has the columns {', '.join(given.columns)}; it needs contrast and scan (or participant_id)"
        )
    if given[column].duplicated().any():
        twice = given[column][given[column].duplicated()].iloc[0]
        raise DatasetError(f"{path} names {twice} twice; one row a {column.replace('participant_id', 'subject')}")
    lookup = dict(zip(given[column], given.contrast, strict=True))
    key = "scan" if column == "scan" else "subject"
    check_all_given(path, "contrast", {name: lookup.get(name) for name in tables["scans"][key]})
    return {name: table.assign(contrast=table[key].map(lookup)) for name, table in tables.items()}


def _add_statistics(
    tables: dict[str, pd.DataFrame], methods: list[str], requires_contrasts: bool
) -> dict[str, pd.DataFrame]:
    """Add summaries and comparisons to the tables of levels and scans."""
    values = make_long_table(tables["levels"], tables["scans"])
    if values.empty:  # none of the requested levels is in any map
        raise DatasetError("no map holds a level that is to be scored; check -levels")
    tables = tables | {"summary": summarize(values), "statuses": count_statuses(tables["levels"])}
    if len(methods) == 2:
        tables["methods"] = compare_methods(values, *methods)
    contrasts = compare_contrasts(values)
    if not contrasts.empty:
        tables["contrasts"] = contrasts
        tables["contrast_pairs"] = compare_pairs_of_contrasts(values)
    elif requires_contrasts:
        raise DatasetError("contrasts cannot be compared: fewer than two of them have scans of at least 2 subjects")
    return tables
