"""Files of one subject's levels: level maps with sidecar and colour table, tables, and the figure."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sct_rootlets.bids import FIGURE_TYPES, LABEL_ENDINGS, LABEL_NAMES, PUBLISHED_ENDINGS, SEGMENTED_KINDS, TABLE_ENDING
from sct_rootlets.cord_mask import mask_digest
from sct_rootlets.correspondence import (
    PAIR_COLUMNS,
    PUBLISHED_COLUMNS,
    PUBLISHED_COLUMNS_2026,
    published_rows,
    published_rows_2026,
)
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.flags import sidecar_flags
from sct_rootlets.image import Volume
from sct_rootlets.levels import Levels, disc_name, level_color
from sct_rootlets.nifti import save_labels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.output.scan import Scan
from sct_rootlets.sidecar import CORD_MASK, CORD_TURN, generated_by
from sct_rootlets.subject import SubjectLevels
from sct_rootlets.vertebral import disc_labels

_LOGGER = logging.getLogger(__name__)

#: Endings of the files of discs: of their table, which is written if any was found in the image, and of their labels,
#: which are written if none was given (those that are given may be corrected ones, of the same name).
DISC_TABLE_ENDING = "discs.csv"
DISC_LABEL_ENDINGS = tuple(f"{LABEL_ENDINGS['discs']}.{ending}" for ending in ("nii.gz", "json"))
DISC_COLUMNS = ("disc", "name", "position_mm", "sd_mm", "reference", "source", "numbering_probability")


def level_files(
    prefix: str,
    kinds: Collection[str],
    segmented: Collection[str] = (),
    figure: bool = True,
    published: bool | str = False,
    found_discs: bool = False,
    given_discs: bool = False,
) -> list[str]:
    """Names of the files that `save_levels` writes.

    Parameters
    ----------
    prefix : str
    kinds : collection of {"spinal", "vertebral"}
        Kinds of levels that there are.
    segmented : collection of {"cord", "rootlets"}
        Maps that are segmented on the way.
    figure, published
        See `save_levels`.
    found_discs, given_discs : bool
        Whether discs are found in the image, and whether some are given.
    """
    endings = [TABLE_ENDING.removeprefix("_"), _record_name("").removeprefix("_")]
    endings += [f"label-{LABEL_NAMES[kind]}_dseg.{ending}" for kind in kinds for ending in ("nii.gz", "json", "tsv")]
    endings += [f"{LABEL_ENDINGS[name]}.{ending}" for name in segmented for ending in ("nii.gz", "json")]
    endings += ["correspondence.csv"] if len(kinds) == 2 else []
    if found_discs:
        endings += [DISC_TABLE_ENDING, *(() if given_discs else DISC_LABEL_ENDINGS)]
    year = published if isinstance(published, str) else "2025"
    endings += [PUBLISHED_ENDINGS[year][kind] for kind in kinds] if published else []
    endings += _figure_endings() if figure else []
    return [f"{prefix}_{ending}" for ending in endings]


def _figure_endings() -> list[str]:
    """Return the endings of the files of all figures."""
    from sct_rootlets.report.levels import FIGURES

    return [f"{name}.{kind}" for name in FIGURES for kind in FIGURE_TYPES]


def level_guard(prefix: str, inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of levels must not replace."""
    names = {"cord": "-s", "rootlets": "-rootlets", "discs": "-ldisc"}
    options = {f"{LABEL_ENDINGS[kind]}.nii.gz": option for kind, option in names.items()}
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=_record_name(prefix), as_input=options)


def _record_name(prefix: str) -> str:
    """Name of the sidecar of the level table, which lists all files of the set."""
    return f"{prefix}{TABLE_ENDING.removesuffix('.csv')}.json"


def save_levels(
    subject: SubjectLevels,
    folder: str | os.PathLike[str],
    prefix: str | None = None,
    figure: bool = True,
    published: bool | str = False,
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
) -> list[Path]:
    """Write level maps with sidecars, tables and a figure into a folder; all of them or none.

    Parameters
    ----------
    subject : SubjectLevels
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    prefix : str, optional
        What file names begin with; by default the name of the image, or of the cord mask without its suffix.
    figure : bool
        Draw the figure.
    published : bool or {"2025", "2026"}
        Also write the tables of the published scripts of that year, 2025 if true
        (`sct_rootlets.correspondence.published_rows`, `published_rows_2026`).
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    inputs : sequence of Path
        Files that are never replaced, besides those of `subject.sources`.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced.
    SctRootletsError
        If the published tables are asked for without a PMJ.
    ValueError
        If the year of the published tables is unknown.
    """
    edition = "2025" if published is True else published
    if edition and edition not in PUBLISHED_ENDINGS:
        raise ValueError(f"unknown year of the published tables: {edition!r}; use {' or '.join(PUBLISHED_ENDINGS)}")
    if edition and subject.reference.name != "PMJ":
        raise SctRootletsError("the published tables hold distances from the PMJ: give its label (-pmj)")
    prefix = prefix or subject.prefix
    sources = [volume.path for volume in subject.sources.values() if volume.path is not None]
    scan = Scan.of_volume(subject.image or subject.cord, folder, is_image=subject.image is not None)
    guard = level_guard(prefix, [*inputs, *sources], overwrite).for_scan(scan)
    with staged_outputs(folder, guard=guard) as stage:
        for levels in subject.kinds:
            _save_map(stage, prefix, subject, levels)
        save_segmented(stage, prefix, subject.segmented, subject.sidecars)
        if any(disc.source == "image" for disc in subject.discs):
            _save_discs(stage, prefix, subject)
        _save_tables(stage, prefix, subject, edition or None)
        if figure:
            from sct_rootlets.output.figures import save_figures
            from sct_rootlets.report.levels import FIGURES

            save_figures(FIGURES, subject, stage, f"{prefix}_")
        write_json(stage / _record_name(prefix), _table_sidecar(subject))
        seal_sidecars(stage, Path(folder), _record_name(prefix), scan)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _save_map(folder: Path, prefix: str, subject: SubjectLevels, levels: Levels) -> None:
    """Write the cord coloured by one kind of level, with its sidecar and colour table."""
    stem = f"{prefix}_label-{LABEL_NAMES[levels.kind]}_dseg"
    save_labels(folder / f"{stem}.nii.gz", subject.level_map(levels.kind), subject.cord)
    shown = set(np.unique(levels.label(subject.cord_arc)).tolist())
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
        "SpatialReference": subject.cord.name,
        **_provenance(subject),
    }
    write_json(folder / f"{stem}.json", sidecar)


def _save_discs(folder: Path, prefix: str, subject: SubjectLevels) -> None:
    """Write the table of the discs, and their labels if none was given."""
    grid = subject.cord
    if not {"discs", "vertebrae"} & set(subject.sources):
        stem = f"{prefix}_{LABEL_ENDINGS['discs']}"
        save_labels(folder / f"{stem}.nii.gz", disc_labels(subject.discs, grid), grid)
        sidecar = {"Description": "Posterior tips of discs, found in the image", "SpatialReference": grid.name}
        write_json(folder / f"{stem}.json", {**sidecar, **_provenance(subject)})
    start, numbering = subject.reference.arc_mm, subject.numbering
    rows = [
        {
            "disc": disc.value,
            "name": disc_name(disc.value),
            "position_mm": disc.arc_mm - start,
            "sd_mm": disc.sd_mm,
            "reference": subject.reference.name,
            "source": disc.source,
            "numbering_probability": None if numbering is None else numbering.probability,
        }
        for disc in subject.discs
    ]
    write_table(folder / f"{prefix}_discs.csv", DISC_COLUMNS, rows)


def _describe_discs(subject: SubjectLevels) -> dict[str, object]:
    """Say where each disc comes from, and how sure their numbers are."""
    numbering = subject.numbering
    if numbering is None:
        return {}
    return {
        "Discs": [
            {"Name": disc_name(disc.value), "Source": disc.source, "SD": round(disc.sd_mm, 2)} for disc in subject.discs
        ],
        "VertebralNumbering": {
            "Probability": round(numbering.probability, 3),
            "FixedByGivenDiscs": numbering.is_given,
            **(
                {}
                if numbering.contradicted_by_image is None
                else {"ContradictedByImage": round(numbering.contradicted_by_image, 3)}
            ),
            "KindsOfEvidenceAgree": numbering.is_corroborated,
            "Alternatives": {
                f"{shift:+d}": round(probability, 3)
                for shift, probability in numbering.alternatives.items()
                if shift and probability >= 0.001
            },
        },
    }


def _table_sidecar(subject: SubjectLevels) -> dict[str, object]:
    """Return the sidecar of the level table, which is the record of the whole set."""
    return {"Description": "Spinal and vertebral levels in mm along the spinal cord", **_provenance(subject)}


def _provenance(subject: SubjectLevels) -> dict[str, object]:
    return {
        "GeneratedBy": generated_by(),
        "Sources": [volume.name for volume in subject.sources.values()],
        "Inputs": {kind: volume.name for kind, volume in subject.sources.items()},
        CORD_MASK: mask_digest(subject.cord),
        **({CORD_TURN: round(subject.centerline.turn_deg, 1)} if subject.centerline.turn_deg else {}),
        **subject.settings,
        **({} if subject.name_sources is None else {"NamesFromDiscs": "discs" in subject.name_sources}),
        "Reference": subject.reference.name,
        "ReferenceMillimeters": round(subject.reference.arc_mm, 3),
        **_describe_discs(subject),
        "Flags": sidecar_flags(subject.flags),
        "Notes": list(subject.notes),
    }


def _save_tables(folder: Path, prefix: str, subject: SubjectLevels, edition: str | None) -> None:
    """Write the level table, the correspondence table, and the tables of the published scripts."""
    rows: dict[str, list[dict[str, object]]] = {levels.kind: subject.level_rows(levels) for levels in subject.kinds}
    everything = [row for kind_rows in rows.values() for row in kind_rows]
    write_table(folder / f"{prefix}{TABLE_ENDING}", tuple(everything[0]), everything)
    if len(subject.kinds) == 2:
        write_table(folder / f"{prefix}_correspondence.csv", PAIR_COLUMNS, subject.pair_rows())
    if edition is not None:
        discs = "discs" if "discs" in subject.sources else "vertebrae"
        for kind, source in (("spinal", "rootlets"), ("vertebral", discs)):
            if kind in rows:
                path = folder / f"{prefix}_{PUBLISHED_ENDINGS[edition][kind]}"
                segmented = source in subject.segmented
                name = f"{prefix}_{LABEL_ENDINGS[source]}.nii.gz" if segmented else subject.sources[source].name
                if edition == "2026" and kind == "spinal":
                    table = published_rows_2026(rows[kind], name, subject.slice_mm)
                    write_table(path, PUBLISHED_COLUMNS_2026, table)
                else:
                    write_table(path, PUBLISHED_COLUMNS, published_rows(rows[kind], name))


def stale_outputs(folder: str | os.PathLike[str], prefix: str, written: Sequence[Path]) -> list[Path]:
    """Files in a folder that an earlier run of the same prefix wrote, and the last one did not.

    Parameters
    ----------
    folder : path
    prefix : str
    written : sequence of Path
        What the last run wrote.
    """
    published = dict.fromkeys(ending for endings in PUBLISHED_ENDINGS.values() for ending in endings.values())
    endings = ["levels.csv", "levels.json", *_figure_endings(), "correspondence.csv", *published]
    endings += [DISC_TABLE_ENDING, *DISC_LABEL_ENDINGS]
    endings += [f"{LABEL_ENDINGS[kind]}.{ending}" for kind in SEGMENTED_KINDS for ending in ("nii.gz", "json")]
    endings += [f"label-{name}_dseg.{ending}" for name in LABEL_NAMES.values() for ending in ("nii.gz", "json", "tsv")]
    paths = [Path(folder) / f"{prefix}_{ending}" for ending in endings]
    return [path for path in paths if path.exists() and path not in written]


def save_segmented(
    folder: Path, prefix: str, segmented: dict[str, Volume], sidecars: dict[str, dict[str, Any]]
) -> None:
    """Write maps that were segmented on the way, ``cord`` and ``rootlets``, with their sidecars."""
    for name, volume in segmented.items():
        stem = f"{prefix}_{LABEL_ENDINGS[name]}"
        save_labels(folder / f"{stem}.nii.gz", volume.data, volume)
        write_json(folder / f"{stem}.json", sidecars[name])
