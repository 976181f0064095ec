"""From files to tables: predictions against references, raters of the same scans, tables of repeated scans.

Each study reads its files, calls the functions of this package that work on arrays and frames, and can be saved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

from sct_rootlets.errors import DatasetError, LabelError
from sct_rootlets.evaluation.compare import (
    compare_contrasts,
    compare_methods,
    compare_pairs_of_contrasts,
    count_statuses,
    long_values,
    summarise,
)
from sct_rootlets.evaluation.files import completed, find_files, match, scan_of
from sct_rootlets.evaluation.overlap import Cord, ScanScores, evaluate_scan
from sct_rootlets.evaluation.raters import icc_by_level, pairwise_agreement, staple, variability, variability_by_level
from sct_rootlets.image import Volume, binary_mask, check_same_grid, labelled_voxels
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET, level_value
from sct_rootlets.nifti import header_notes, load_volume

Sources = Sequence["str | os.PathLike[str]"]

#: Columns that a table of contrasts needs beside ``contrast``: one of these.
SCAN_COLUMNS = ("scan", "participant_id")


@dataclass(frozen=True)
class Study:
    """Tables of an evaluation.

    Attributes
    ----------
    kind : str
        ``"references"``, ``"raters"`` or ``"repeats"``.
    tables : dict of str to pandas.DataFrame
        By the name of the CSV file that each is saved to.
    notes : tuple of str
        What was left out, one line each.
    about : dict
        What the summary says: names of methods or raters, where positions count from.
    consensus : dict of str to Volume
        Consensus maps by scan, of raters only.
    """

    kind: str
    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...] = ()
    about: dict[str, object] = field(default_factory=dict)
    consensus: dict[str, Volume] = field(default_factory=dict)


def levels_of(text: str) -> tuple[int, ...]:
    """Values of the spinal levels of a range (``C2:T1``) or a list (``C3,C5``).

    Raises
    ------
    DatasetError
        If a name is no spinal level, or a range runs upwards.

    Examples
    --------
    >>> levels_of("C7:T1"), levels_of("C3,C5")
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
        raise DatasetError(f"{text!r} is no range of levels from rostral to caudal, such as C2:T1")
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
        Files, folders or patterns (`find_files`) by method, one or two. A single file is compared with a single
        reference whatever their names.
    references : sequence of path
    cords : sequence of path, optional
        Cord masks: ends of levels are then measured along the cord.
    contrasts : path, optional
        Tab-separated table with the columns ``contrast`` and ``scan`` (such as ``sub-01_T2w``) or
        ``participant_id``; by default the names of the files tell.
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
    references_found = find_files(references, "rootlet maps")
    found = {
        method: _paired_alone(find_files(sources, "rootlet maps"), references_found)
        for method, sources in predictions.items()
    }
    cords_found = None if cords is None else _paired_alone(find_files(cords, "cord masks"), references_found)
    references_found, of_cords, *of_methods = completed(references_found, cords_found or {}, *found.values())
    found, cords_found = dict(zip(found, of_methods, strict=True)), None if cords_found is None else of_cords
    tables, notes = _scored(found, references_found, cords_found, None if values is None else tuple(values))
    if contrasts is not None:
        tables = _with_contrasts(tables, Path(contrasts))
    for table in tables.values():
        table["contrast"] = table.contrast.replace("", "unknown")
    about: dict[str, object] = {"methods": list(found), "along": "superior axis" if cords is None else "cord"}
    return _with_statistics(tables, list(found), notes, about, contrasts is not None)


def _scored(
    found: dict[str, dict[str, Path]],
    references: dict[str, Path],
    cords: dict[str, Path] | None,
    values: tuple[int, ...] | None,
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Tables of levels and scans of all methods, and what was left out."""
    levels: list[pd.DataFrame] = []
    scans: list[dict[str, object]] = []
    notes: list[str] = []
    for method, files in found.items():
        what = "predictions" if len(found) == 1 else method
        matched = match({what: files, "references": references})
        notes += matched.notes
        for key in matched.scans:
            cord = None if cords is None else _cord_path(cords, key)
            scores = _score(files[key], references[key], cord, values)
            of_scan = scan_of(Path(f"{key}.nii.gz"))
            identity = {"method": method, "scan": key, "subject": of_scan.subject, "contrast": of_scan.contrast}
            levels.append(scores.levels.assign(**identity)[[*identity, *scores.levels.columns]])
            scans.append(identity | scores.scan)
            notes += [f"{method}, {key}: {note}" for note in scores.notes]
    filled = [table for table in levels if len(table)]
    if not filled:
        raise DatasetError("predictions and references are all empty: there is nothing to score")
    tables = {"levels": pd.concat(filled, ignore_index=True), "scans": pd.DataFrame(scans)}
    return tables, tuple(dict.fromkeys(notes))


def _paired_alone(files: dict[str, Path], references: dict[str, Path]) -> dict[str, Path]:
    """One file and one reference belong together, whatever they are called, unless they name two subjects."""
    subjects = {scan_of(path).subject for path in (*files.values(), *references.values())}
    if len(files) == len(references) == 1 and sum(subject.startswith("sub-") for subject in subjects) < 2:
        return dict(zip(references, files.values(), strict=True))
    return files


def _cord_path(cords: dict[str, Path], key: str) -> Path:
    if key not in cords:
        raise DatasetError(f"{key} has no cord mask among those given; add it, or leave out -s")
    return cords[key]


def _score(prediction: Path, reference: Path, cord: Path | None, values: tuple[int, ...] | None) -> ScanScores:
    paths = [reference, prediction] if cord is None else [reference, prediction, cord]
    volumes = [load_volume(path) for path in paths]
    for volume in volumes[1:]:
        check_same_grid(volumes[0], volume)
    affine = volumes[0].affine
    truth, mine = (_aligned(level_map(volume), affine) for volume in volumes[:2])
    measured = None
    if cord is not None:
        mask, _ = binary_mask(volumes[2])
        try:
            measured = Cord.from_mask(_aligned(replace(volumes[2], data=mask), affine), affine)
        except LabelError as error:
            raise LabelError(f"{cord}: {error}") from error
    scores = evaluate_scan(mine, truth, affine, measured, values)
    return replace(scores, notes=(*header_notes(*volumes), *scores.notes))


def _aligned(volume: Volume, affine: np.ndarray) -> np.ndarray:
    """The data of a volume with its axes in the order and direction of another affine of the same grid."""
    return apply_orientation(volume.data, ornt_transform(io_orientation(volume.affine), io_orientation(affine)))


def level_map(volume: Volume) -> Volume:
    """A rootlet map as whole numbers; it may be empty.

    Raises
    ------
    LabelError
        If it holds fractions, NaN, or values that are no level.
    """
    if not volume.data.any():
        return replace(volume, data=np.zeros(volume.data.shape, dtype=np.uint8))
    ijk, values = labelled_voxels(volume)
    wrong = sorted(set(np.unique(values).tolist()) - set(range(FIRST_ROOTLET, LAST_ROOTLET + 1)))
    if wrong:
        raise LabelError(
            f"{volume.path or volume.name} holds the value {wrong[0]}, which is no level; rootlet maps hold "
            f"{FIRST_ROOTLET} (C2) to {LAST_ROOTLET} (S5), with 9 for T1"
        )
    labels = np.zeros(volume.data.shape, dtype=np.uint8)
    labels[tuple(ijk.T)] = values
    return replace(volume, data=labels)


def _with_contrasts(tables: dict[str, pd.DataFrame], path: Path) -> dict[str, pd.DataFrame]:
    """Contrasts from a table in place of those from file names."""
    try:
        given = pd.read_csv(path, sep="\t", dtype=str)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a tab-separated table: {str(error).splitlines()[0]}") from error
    column = next((name for name in SCAN_COLUMNS if name in given), None)
    if column is None or "contrast" not in given:
        raise DatasetError(
            f"{path} has the columns {', '.join(given.columns)}; it needs contrast and scan (or participant_id)"
        )
    if given[column].duplicated().any():
        twice = given[column][given[column].duplicated()].iloc[0]
        raise DatasetError(f"{path} names {twice} twice; one row a {column.replace('participant_id', 'subject')}")
    lookup = given.dropna(subset="contrast").set_index(column).contrast
    key = "scan" if column == "scan" else "subject"
    missing = sorted(set(tables["scans"][key]) - set(lookup.index))
    if missing:
        raise DatasetError(f"{path} has no contrast for {missing[0]}{_and_others(missing)}; add a row for each")
    return {name: table.assign(contrast=table[key].map(lookup)) for name, table in tables.items()}


def _and_others(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} others" if len(names) > 1 else ""


def _with_statistics(
    tables: dict[str, pd.DataFrame], methods: list[str], notes: tuple[str, ...], about: dict[str, object], asked: bool
) -> Study:
    """Add summaries and comparisons to the tables of levels and scans."""
    values = long_values(tables["levels"], tables["scans"])
    if values.empty:  # none of the levels asked for is in any map
        raise DatasetError("no map holds a level that is to be scored; check -levels")
    tables = tables | {"summary": summarise(values), "statuses": count_statuses(tables["levels"])}
    if len(methods) == 2:
        tables["methods"] = compare_methods(values, *methods)
    contrasts = compare_contrasts(values)
    if not contrasts.empty:
        tables["contrasts"] = contrasts
        tables["contrast_pairs"] = compare_pairs_of_contrasts(values)
    elif asked:
        raise DatasetError("contrasts cannot be compared: fewer than two of them have scans of at least 2 subjects")
    return Study("references", tables, notes, about)


def evaluate_raters(raters: Mapping[str, Sources], cords: Sources | None = None, pmjs: Sources | None = None) -> Study:
    """Consensus of raters, how well they agree, and how much the positions of levels vary between them.

    Parameters
    ----------
    raters : mapping of str to sequence of path
        Files, folders or patterns by rater, at least two. Scans that some rater lacks are left out.
    cords : sequence of path, optional
        Cord masks; with them, positions of levels (method ``extent``) are compared.
    pmjs : sequence of path, optional
        Labels of the pontomedullary junction; without them there is no coefficient of variation.

    Returns
    -------
    Study
        Tables ``pairwise``, ``staple``, and with cords ``positions``, ``variability``, ``variability_by_level`` and,
        with several subjects, ``icc``.

    Raises
    ------
    SctRootletsError
        If a file is unreadable or on another grid, nothing matches, or there are fewer than two raters.
    """
    if len(raters) < 2:
        raise DatasetError("raters are compared with one another: give at least 2")
    found = {name: find_files(sources, "rootlet maps") for name, sources in raters.items()}
    first = next(iter(found.values()))
    found = {name: _paired_alone(files, first) for name, files in found.items()}
    cords_found = None if cords is None else _paired_alone(find_files(cords, "cord masks"), first)
    pmjs_found = None if pmjs is None else _paired_alone(find_files(pmjs, "PMJ labels"), first)
    of_cords, of_pmjs, *of_raters = completed(cords_found or {}, pmjs_found or {}, *found.values())
    cords_found, pmjs_found = (None if cords is None else of_cords), (None if pmjs is None else of_pmjs)
    found = dict(zip(found, of_raters, strict=True))
    matched = match(found)
    pairs, performances, positions, consensus, notes = [], [], [], {}, list(matched.notes)
    for key in matched.scans:
        volumes = {name: load_volume(files[key]) for name, files in found.items()}
        reference = next(iter(volumes.values()))
        notes += [f"{key}: {note}" for note in header_notes(*volumes.values())]
        for volume in volumes.values():
            check_same_grid(reference, volume)
        maps = {name: _aligned(level_map(volume), reference.affine) for name, volume in volumes.items()}
        pairs.append(pairwise_agreement(maps, reference.affine).assign(scan=key))
        labels, performance = staple(list(maps.values()))
        consensus[key] = Volume(labels, reference.affine, key, reference.header)
        performances.append(performance.assign(rater=performance.rater.map(dict(enumerate(maps))), scan=key))
        without = performance[~performance.level.isin(np.unique(labels))]
        for name, of_level in without.groupby("name", sort=False):
            drawn = f"{of_level.drawn.sum()} of {len(of_level)} raters drew {name}"
            where = "" if of_level.sensitivity.isna().all() else ", and no voxel is surely of it"
            notes.append(f"{key}: {drawn}{where}: not in the consensus")
        if cords_found is not None:
            pmj = None if pmjs_found is None else pmjs_found.get(key)
            if pmjs_found is not None and pmj is None:
                raise DatasetError(f"{key} has no PMJ label among those given; add it, or leave out -pmj")
            for name, volume in volumes.items():
                positions += _positions(volume, _cord_path(cords_found, key), pmj, key, name, notes)
    tables = {"pairwise": _scan_first(pairs), "staple": _scan_first(performances)}
    about: dict[str, object] = {"raters": list(found), "scans": list(matched.scans)}
    if cords_found is not None:
        tables |= _position_tables(pd.DataFrame(positions))
        about["reference"] = tables["positions"].reference.iloc[0]
    return Study("raters", tables, tuple(notes), about, consensus)


def _scan_first(parts: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    return table[["scan", *(column for column in table if column != "scan")]]


def _positions(
    volume: Volume, cord: Path, pmj: Path | None, group: str, repeat: str, notes: list[str]
) -> list[dict[str, object]]:
    """Rows of spinal levels of a rater's map; what cannot be placed becomes a note."""
    from sct_rootlets.subject import Inputs, levels_from_labels

    try:
        inputs = Inputs.load(rootlets=volume, cord=cord, pmj=pmj)
        noted = header_notes(*(other for name, other in inputs.volumes.items() if name != "rootlets"))
        notes += [text for note in noted if (text := f"{group}: {note}") not in notes]
        table = levels_from_labels(inputs, method="extent").levels
    except LabelError as error:
        notes.append(f"{repeat}, {group}: no positions of levels: {error}")
        return []
    return _position_rows(table, group, repeat, notes)


def _position_rows(table: pd.DataFrame, group: str, repeat: str, notes: list[str]) -> list[dict[str, object]]:
    """Rows of spinal levels; one that the field of view may have cut has no midpoint that could be compared."""
    columns = ["level", "name", "method", "rostral_mm", "caudal_mm", "midpoint_mm", "length_mm", "reference"]
    spinal = table[table.kind == "spinal"]
    if "complete" in spinal:
        whole = spinal.complete.astype(str).str.lower().isin(("true", "1"))
        if not whole.all():
            cut = ", ".join(spinal["name"][~whole])
            notes.append(f"{repeat}, {group}: {cut} left out, because it may be longer than stated")
        spinal = spinal[whole]
    return [{"group": group, "repeat": repeat} | row for row in spinal[columns].to_dict("records")]


def _position_tables(positions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    if positions.empty:
        raise DatasetError("no level could be placed along the cord in any map; check that the cord masks fit them")
    table = variability(positions)
    tables = {"positions": positions, "variability": table, "variability_by_level": variability_by_level(table)}
    correlations = icc_by_level(positions)
    return tables if correlations.empty else tables | {"icc": correlations}


def evaluate_repeats(level_tables: Sources, over: str) -> Study:
    """How much positions of levels vary over repeated scans of the same subjects, from their level tables.

    Parameters
    ----------
    level_tables : sequence of path
        Tables of `sct_compute_spinal_levels` (``…_levels.csv``), or folders of them.
    over : str
        What tells repeats apart: a BIDS entity such as ``ses``, ``acq`` or ``res``, or ``contrast``. With ``sub``
        all tables are of one person (a travelling volunteer who bears another name at each site).

    Returns
    -------
    Study
        Tables ``positions``, ``variability``, ``variability_by_level`` and, with several subjects, ``icc``.

    Raises
    ------
    DatasetError
        If a table is unreadable, references or methods are mixed, or nothing repeats.
    """
    found = find_files(level_tables, "level tables")
    positions: list[dict[str, object]] = []
    notes: list[str] = []
    seen: dict[tuple[str, str], Path] = {}
    for path in found.values():
        group, repeat = _repeat_of(path, over)
        if (group, repeat) in seen:
            raise DatasetError(f"{seen[group, repeat]} and {path} are both {over} {repeat} of {group}; remove one")
        seen[group, repeat] = path
        rows = _position_rows(_level_table(path), group, repeat, notes)
        notes += [] if rows else [f"{path}: holds no complete spinal level"]
        positions += rows
    if not positions:
        raise DatasetError("no level table holds a complete spinal level; make them from rootlets")
    table = pd.DataFrame(positions)
    methods = sorted(table.method.unique())
    if len(methods) > 1:
        raise DatasetError(
            f"level tables are of different methods ({' and '.join(methods)}); make all with one -method"
        )
    tables = _position_tables(table)
    notes += [f"{group}: one {over} only" for group, part in table.groupby("group") if part["repeat"].nunique() < 2]
    about = {"over": over, "reference": table.reference.iloc[0], "method": methods[0]}
    return Study("repeats", tables, tuple(notes), about)


def _repeat_of(path: Path, over: str) -> tuple[str, str]:
    """The subject (all that does not tell repeats apart) and the repeat that a level table is of."""
    scan = scan_of(path)
    if over == "contrast":
        repeat, parts = scan.contrast or "unknown", scan.contrast.split("_")
    elif over in scan.entities:
        repeat, parts = scan.entities[over], [f"{over}-{scan.entities[over]}"]
    else:
        raise DatasetError(f"{path} has no {over}- in its name; name it in the manner of BIDS, or choose another -over")
    return "_".join(part for part in scan.key.split("_") if part not in parts) or "all", repeat


def _level_table(path: Path) -> pd.DataFrame:
    numbers = ["level", "rostral_mm", "caudal_mm", "midpoint_mm", "length_mm"]
    needed = {"kind", "name", "method", "reference", *numbers}
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from error
    lacking = sorted(needed - set(table.columns))
    if lacking:
        raise DatasetError(f"{path} has no column {lacking[0]}; give level tables of sct_compute_spinal_levels")
    for column in numbers:
        if pd.to_numeric(table[column], errors="coerce").isna().any():
            raise DatasetError(f"{path} has a row whose {column} is no number; make the table again")
    return table
