"""Evaluation of several raters of the same scans, from files to consensus, agreement and variation of positions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sct_rootlets.errors import DatasetError, LabelError
from sct_rootlets.evaluation.consensus import pairwise_agreement, staple
from sct_rootlets.evaluation.files import (
    Sources,
    complete_scan_names,
    cord_path,
    find_files,
    match_scans,
    pair_single_file,
)
from sct_rootlets.evaluation.maps import align_axes, level_map, load_same_grid
from sct_rootlets.evaluation.study import Study
from sct_rootlets.evaluation.variability import position_rows, position_tables
from sct_rootlets.image import Volume
from sct_rootlets.nifti import header_notes
from sct_rootlets.subject import Inputs, levels_from_labels

_LOGGER = logging.getLogger(__name__)


def evaluate_raters(raters: Mapping[str, Sources], cords: Sources | None = None, pmjs: Sources | None = None) -> Study:
    """Compute the consensus of raters, their agreement, and how much the positions of levels vary between them.

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
    files = _RaterFiles.find(raters, cords, pmjs)
    matched = match_scans(files.raters)
    pairs, performances, positions, consensus, notes = [], [], [], {}, list(matched.notes)
    for number, key in enumerate(matched.scans, start=1):
        _LOGGER.info("comparing the raters of %s: scan %d of %d", key, number, len(matched.scans))
        paths = [of_rater[key] for of_rater in files.raters.values()]
        volumes = dict(zip(files.raters, load_same_grid(paths), strict=True))
        notes += [f"{key}: {note}" for note in header_notes(*volumes.values())]
        reference = next(iter(volumes.values()))
        maps = {name: align_axes(level_map(volume), reference.affine) for name, volume in volumes.items()}
        pairs.append(pairwise_agreement(maps, reference.affine).assign(scan=key))
        labels, performance = staple(list(maps.values()))
        consensus[key] = Volume(labels, reference.affine, key, reference.header)
        performances.append(performance.assign(rater=performance.rater.map(dict(enumerate(maps))), scan=key))
        notes += _levels_without_consensus(key, labels, performance)
        if files.cords is not None:
            common = Inputs.load(cord=cord_path(files.cords, key), pmj=files.pmj(key))
            notes += [f"{key}: {note}" for note in header_notes(*common.volumes.values())]
            for name, volume in volumes.items():
                positions += _positions(volume, common, key, name, notes)
    tables = {"pairwise": _move_scan_first(pairs), "staple": _move_scan_first(performances)}
    about: dict[str, Any] = {"raters": list(files.raters), "scans": list(matched.scans)}
    if files.cords is not None:
        tables |= position_tables(pd.DataFrame(positions))
        about["reference"] = tables["positions"].reference.iloc[0]
    return Study(kind="raters", tables=tables, notes=tuple(notes), about=about, consensus=consensus)


@dataclass(frozen=True)
class _RaterFiles:
    """Files by scan: of each rater, cord masks, and PMJ labels (None where there are none to use)."""

    raters: dict[str, dict[str, Path]]
    cords: dict[str, Path] | None
    pmjs: dict[str, Path] | None

    @classmethod
    def find(cls, raters: Mapping[str, Sources], cords: Sources | None, pmjs: Sources | None) -> _RaterFiles:
        of_raters = [find_files(sources, "rootlet maps") for sources in raters.values()]
        first = of_raters[0]
        of_raters = [pair_single_file(files, first) for files in of_raters]
        of_cords = {} if cords is None else pair_single_file(find_files(cords, "cord masks"), first)
        of_pmjs = {} if pmjs is None else pair_single_file(find_files(pmjs, "PMJ labels"), first)
        of_cords, of_pmjs, *of_raters = complete_scan_names(of_cords, of_pmjs, *of_raters)
        return cls(
            dict(zip(raters, of_raters, strict=True)),
            None if cords is None else of_cords,
            None if pmjs is None else of_pmjs,
        )

    def pmj(self, key: str) -> Path | None:
        """Return the PMJ label of a scan; None if there are no such labels at all."""
        if self.pmjs is None:
            return None
        if key not in self.pmjs:
            raise DatasetError(f"{key} has no PMJ label among those given; add it, or leave out -pmj")
        return self.pmjs[key]


def _levels_without_consensus(key: str, labels: NDArray[Any], performance: pd.DataFrame) -> list[str]:
    """Write a note on each level that some rater drew and that is not in the consensus."""
    notes = []
    without = performance[~performance.level.isin(np.unique(labels))]
    for name, of_level in without.groupby("name", sort=False):
        drawn = f"{of_level.drawn.sum()} of {len(of_level)} raters drew {name}"
        if not of_level.sensitivity.isna().all():
            where = ", and no voxel is surely of it"
        else:  # too few raters, or no estimate
            where = ", and agree too little" if 2 * of_level.drawn.sum() >= len(of_level) else ""
        notes.append(f"{key}: {drawn}{where}: not in the consensus")
    return notes


def _move_scan_first(parts: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    return table[["scan", *(column for column in table if column != "scan")]]


def _positions(volume: Volume, common: Inputs, group: str, repeat: str, notes: list[str]) -> list[dict[str, object]]:
    """Make rows of the spinal levels of a rater's map; if no level can be placed, add a note."""
    try:
        inputs = Inputs.load(rootlets=volume, **common.volumes)
        levels = levels_from_labels(inputs, method="extent").levels
    except LabelError as error:
        notes.append(f"{repeat}, {group}: no positions of levels: {error}")
        return []
    return position_rows(levels, group, repeat, notes)
