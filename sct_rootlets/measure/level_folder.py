"""The levels of a scan, read back from the folder that `sct_compute_spinal_levels` wrote them to."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from sct_rootlets.bids import LABEL_ENDINGS, LABEL_NAMES, TABLE_ENDING
from sct_rootlets.cord_mask import mask_digest
from sct_rootlets.errors import DatasetError
from sct_rootlets.flags import read_flags
from sct_rootlets.group.level_table import read_level_table
from sct_rootlets.image import Volume
from sct_rootlets.levels import Kind
from sct_rootlets.measure.cells import read_cell
from sct_rootlets.measure.cord_levels import CordLevels, TableLevel, read_cord_levels
from sct_rootlets.nifti import header_notes, load_volume
from sct_rootlets.sidecar import CORD_MASK, CORD_TURN, find_edited, has_large_cord, read_object, read_sidecar, sha256_of

KINDS: tuple[Kind, ...] = ("spinal", "vertebral")
#: Key of the sidecar of a level table under which the arc length of the reference on the cord mask may be.
REFERENCE_MM = "ReferenceMillimeters"
#: How the name of a cord begins that was segmented on the way, in the inputs of a level map.
SEGMENTED = "cord of "
#: Flags of levels (`sct_rootlets.plausibility.level_flags`) that say that levels bear wrong names.
NAMING_FLAGS = ("order", "confidence", "deviation", "numbering")


@dataclass(frozen=True, kw_only=True)
class LevelFolder:
    """Files of the levels of one scan.

    Attributes
    ----------
    prefix : str
        Beginning of their names.
    table : Path
        The level table.
    maps : dict of {"spinal", "vertebral"} to Path
        Level maps.
    cord : Path or None
        The cord mask, if it was segmented on the way.
    stale : tuple of Path
        Level maps of an earlier run, whose levels are not in the table.
    """

    prefix: str
    table: Path
    maps: dict[Kind, Path]
    cord: Path | None
    stale: tuple[Path, ...] = ()

    @property
    def record(self) -> Path:
        """Sidecar of the level table, which lists the files of the levels with their hashes."""
        return self.table.with_suffix(".json")

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [self.table, *self.maps.values(), *([] if self.cord is None else [self.cord])]


def find_levels(source: str | os.PathLike[str]) -> LevelFolder:
    """Find the levels of one scan.

    Parameters
    ----------
    source : path
        The folder, or the level table (``PREFIX_levels.csv``) of one scan in it.

    Raises
    ------
    DatasetError
        If there is no level table, or no level map, or the folder holds the levels of several scans.
    """
    source = Path(source)
    if source.is_dir():
        tables = sorted(source.glob(f"*{TABLE_ENDING}"))
        if not tables:
            raise DatasetError(
                f"{source} holds no level table (*{TABLE_ENDING}); give the folder that sct_compute_spinal_levels wrote"
            )
        if len(tables) > 1:
            raise DatasetError(
                f"{source} holds the levels of {len(tables)} scans; give the table of one of them, such as "
                f"-levels {tables[0]}"
            )
        table = tables[0]
    elif source.name.endswith(TABLE_ENDING):
        table = source
    else:
        raise DatasetError(
            f"{source} is neither a folder nor a level table (*{TABLE_ENDING}); give what sct_compute_spinal_levels "
            "wrote"
        )
    prefix = table.name.removesuffix(TABLE_ENDING)
    maps = {kind: table.with_name(f"{prefix}_label-{LABEL_NAMES[kind]}_dseg.nii.gz") for kind in KINDS}
    there = {kind: path for kind, path in maps.items() if path.exists()}
    known = {level.kind for level in read_level_table(table).levels.values()} if there else set()
    existing = {kind: path for kind, path in there.items() if kind in known}
    if not existing:
        raise DatasetError(
            f"{table} has no level map beside it ({maps['spinal'].name}); compute the levels again, or copy the maps "
            "too"
        )
    cord = table.with_name(f"{prefix}_{LABEL_ENDINGS['cord']}.nii.gz")
    return LevelFolder(
        prefix=prefix,
        table=table,
        maps=existing,
        cord=cord if cord.exists() else None,
        stale=tuple(path for kind, path in there.items() if kind not in known),
    )


def load_levels(found: LevelFolder, cord: str | os.PathLike[str] | None = None) -> CordLevels:
    """Read the levels of one scan, and its cord mask.

    Parameters
    ----------
    found : LevelFolder
    cord : path, optional
        Cord mask; by default the one in the folder, if it is there.

    Raises
    ------
    ImageError, LabelError, DatasetError
        If a file cannot be read, or they do not belong together.
    """
    table = read_level_table(found.table)
    uncertainty = _uncertainty(found.table)
    rows = {
        (level.kind, level.name): TableLevel(
            rostral_mm=level.rostral_mm,
            caudal_mm=level.caudal_mm,
            rostral_sd_mm=uncertainty.get(key, (math.nan, math.nan))[0],
            caudal_sd_mm=uncertainty.get(key, (math.nan, math.nan))[1],
            complete=level.complete,
        )
        for key, level in table.levels.items()
    }
    mask = _choose_mask(found, cord)
    maps = {kind: load_volume(path) for kind, path in found.maps.items()}
    volume = None if mask is None else load_volume(mask)
    recorded = read_object(found.record).get(REFERENCE_MM)
    reference_mm = float(recorded) if isinstance(recorded, int | float) and math.isfinite(recorded) else None
    levels = read_cord_levels(maps, volume, rows, table.reference, reference_mm)
    notes = [*header_notes(*([] if volume is None else [volume]), *maps.values()), *levels.notes]
    edited = _edited_files(found)
    if edited:
        were = "was" if len(edited) == 1 else "were"
        notes.append(
            f"{' and '.join(edited)} {were} changed since the levels were computed (SHA-256 in {found.record.name}): "
            "measures follow the change; if it is no correction, compute the levels again"
        )
    if volume is not None and not _is_mask_of_levels(found, volume, levels):
        notes.append(f"the levels were computed from another cord mask ({_mask_of_levels(found)})")
    notes += [
        f"{path.name} is of an earlier run, and its levels are not in the table: left out" for path in found.stale
    ]
    has_norms = not _has_large_cord(found, mask)
    if not has_norms and "vertebral" in maps:
        notes.append(
            "the cord mask was segmented by an earlier version of the bundled model, which draws cords larger than the "
            "masks of the healthy adults are (docs/measures.md): sizes are not compared with theirs; segment it again"
        )
    turn_deg = _cord_turn(found)
    if turn_deg:
        notes.append(
            f"the cord is turned by {abs(turn_deg):.0f} degrees about its long axis, says the sidecar of the levels: "
            "sides, halves and quarters follow the cord (-by)"
        )
    centerline = replace(levels.centerline, turn_deg=turn_deg)
    return replace(
        levels,
        centerline=centerline,
        has_norms=has_norms,
        facts=describe_levels(found, table.numbering),
        notes=tuple(notes),
    )


def describe_levels(found: LevelFolder, numbering: float | None) -> dict[str, object]:
    """Describe the levels for the record of measures, from which a group learns whether their names are doubtful.

    Parameters
    ----------
    found : LevelFolder
    numbering : float or None
        Least probability of the number of a vertebra (`sct_rootlets.group.level_table.LevelTable.numbering`).

    Returns
    -------
    dict
        Name and hash of the level table, ``Numbering``, and under ``Implausible`` the flags of names of levels that
        say so.
    """
    flags = read_flags(read_sidecar(next(iter(found.maps.values()))).get("Flags"))
    wrong_names = [flag for flag in flags if flag.key in NAMING_FLAGS and flag.state == "bad"]
    return {
        "Table": found.table.name,
        "SHA256": sha256_of(found.table),
        "Numbering": numbering,
        "Implausible": [f"{flag.key} {flag.text}" for flag in wrong_names],
    }


def _has_large_cord(found: LevelFolder, mask: Path | None) -> bool:
    """Whether an early version of the bundled model segmented the cord that is measured."""
    if mask is not None:
        return has_large_cord(mask)
    return _mask_of_levels(found).startswith(SEGMENTED) and has_large_cord(next(iter(found.maps.values())))


def _mask_of_levels(found: LevelFolder) -> str:
    """Name of the cord mask that the levels were computed from; empty if their sidecar does not say so."""
    inputs = read_sidecar(next(iter(found.maps.values()))).get("Inputs")
    return str(inputs.get("cord") or "") if isinstance(inputs, dict) else ""


def _cord_turn(found: LevelFolder) -> float:
    """Angle in degrees by which the cord is turned about its long axis; 0 if no sidecar of a level map says so."""
    for path in found.maps.values():  # spinal levels first: rootlets tell the angle
        turn_deg = read_sidecar(path).get(CORD_TURN)
        if isinstance(turn_deg, int | float) and math.isfinite(turn_deg):
            return float(turn_deg)
    return 0.0


def _choose_mask(found: LevelFolder, cord: str | os.PathLike[str] | None) -> Path | None:
    """Return the mask to measure.

    Raises
    ------
    DatasetError
        If none is given, and that of the folder is of an earlier run.
    """
    if cord is not None:
        return Path(cord)
    used = _mask_of_levels(found)
    if used and found.cord is not None and not _has_own_mask(found):
        raise DatasetError(
            f"the levels were computed from the cord mask {used}, and {found.cord} is of an earlier run; give the "
            "mask of the levels (-s)"
        )
    return found.cord


def _has_own_mask(found: LevelFolder) -> bool:
    """Whether the cord mask in the folder is that of the levels, by what their sidecar says."""
    used = _mask_of_levels(found)
    return found.cord is not None and (used.startswith(SEGMENTED) or used == found.cord.name)


def _is_mask_of_levels(found: LevelFolder, mask: Volume, levels: CordLevels) -> bool:
    """Whether the levels were computed from a mask: by its voxels, or, in folders without their hash, by its name."""
    recorded = read_sidecar(next(iter(found.maps.values()))).get(CORD_MASK)
    if recorded is not None:
        return bool(recorded == mask_digest(mask))
    used = _mask_of_levels(found)
    if not used:
        return True
    path = mask.path or Path(mask.name)
    if mask.name != used and not (_has_own_mask(found) and found.cord is not None and path.samefile(found.cord)):
        return False
    return all((levels.cord.data[volume.data > 0] >= 0.5).all() for volume in levels.maps.values())


def _edited_files(found: LevelFolder) -> list[str]:
    """Names of the level table and the level maps, if they are not as their record says that they were written."""
    return [path.name for path in find_edited(read_object(found.record), (found.table, *found.maps.values()))]


def _uncertainty(table: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Read the uncertainty of the ends of levels, which tables of other programs need not have."""

    def number(row: dict[str, str], column: str) -> float:
        return read_cell(row.get(column), f"{table}: {column} of {row['kind']} level {row['name']}")

    with table.open(newline="", encoding="utf-8-sig") as stream:
        return {
            (row["kind"], row["name"]): (number(row, "rostral_sd_mm"), number(row, "caudal_sd_mm"))
            for row in csv.DictReader(stream)
        }
