"""Processing of one scan: from its image and labels to its outputs and its entry on the page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.bids import stem
from sct_rootlets.cohort.job import CohortSettings, Job
from sct_rootlets.cohort.record import Record, read_record
from sct_rootlets.deepseg import compute_spinal_levels
from sct_rootlets.errors import DatasetError, ModelError
from sct_rootlets.output.files import staged_outputs
from sct_rootlets.output.levels import level_guard, save_levels
from sct_rootlets.output.ownership import Guard, foreign_files
from sct_rootlets.output.page import add_levels
from sct_rootlets.output.viewing import fsleyes_command, level_layers
from sct_rootlets.sidecar import sha256_of

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmenter

#: Shortest time between two updates of the page's list while scans are being added; it is complete in the end.
PAGE_INTERVAL_S = 30.0


def process_scan(job: Job, settings: CohortSettings, provenance: dict[str, Any], load: Callable[[], Segmenter]) -> None:
    """Process one scan: write its outputs, its entry of the page, and its record.

    Parameters
    ----------
    job : Job
    settings : CohortSettings
    provenance : dict
        Result of `CohortSettings.describe`, which reads model files and is therefore called once for many scans.
    load : callable
        Function that returns the networks; called only if something is to be segmented.

    Raises
    ------
    SctRootletsError
        If the scan cannot be processed.
    """
    earlier = read_record(job.record)
    inputs = job.inputs(earlier)
    fingerprint = job.fingerprint(inputs, provenance)
    given = {kind: path for kind, path in inputs.items() if kind != "image"}
    subject = compute_spinal_levels(
        image=inputs["image"],
        cord=given.get("cord"),
        rootlets=given.get("rootlets"),
        discs=given.get("discs"),
        pmj=given.get("pmj"),
        method=settings.method,
        distance_mm=settings.distance_mm,
        find_discs=settings.find_discs,
        settings=settings.segmentation,
        segmenter=_load_if_needed(settings, given, load),
    )
    earlier_digests = {} if earlier is None else earlier.digests
    with staged_outputs(job.folder, keep=inputs.values()) as stage:
        paths = save_levels(subject, stage, prefix=job.stem)
        if job.inputs(earlier) != inputs or job.fingerprint(inputs, provenance) != fingerprint:
            raise DatasetError("its image or labels were changed while it was being done; run again")
        _check_corrections(job, earlier, [job.folder / path.name for path in paths])
        record = Record(
            fingerprint=fingerprint,
            finished=False,
            written={path.name: sha256_of(path) for path in paths},
            earlier=earlier_digests,
            facts={**provenance, "Sources": {kind: _public_path(path, job) for kind, path in inputs.items()}},
        )
        record.save(job.record)
    corrected = {path.with_name(f"{stem(path.name)}.json") for path in inputs.values()}
    for name in earlier_digests.keys() - record.written.keys():
        stale = job.folder / name
        if stale in corrected:  # it tells from which image the correction was made
            continue
        if stale.is_file() and earlier is not None and earlier.wrote(stale):  # what was corrected by hand stays
            stale.unlink(missing_ok=True)
    layers = level_layers(subject, [job.folder / path.name for path in paths])
    about = replace(job.about, viewer_command=fsleyes_command(layers, relative_to=job.root))
    add_levels(job.page, subject, about, PAGE_INTERVAL_S)
    replace(record, finished=True, earlier={}).save(job.record)


def _load_if_needed(
    settings: CohortSettings, given: Collection[str], load: Callable[[], Segmenter]
) -> Segmenter | None:
    """Return the networks if something is to be found in the image; where all is given, they may be missing."""
    if not {"cord", "rootlets"} <= set(given):
        return load()
    if settings.find_discs:
        with contextlib.suppress(ModelError):
            return load()
    return None


def _check_corrections(job: Job, earlier: Record | None, targets: Sequence[Path]) -> None:
    """Raise an error if an output that cannot be an input was edited by hand, or was never written by this command."""
    known = [path for path in targets if earlier is not None and path.is_file() and earlier.wrote(path)]
    foreign = foreign_files([path for path in targets if path not in known], level_guard(job.stem, []).record)
    Guard().without_options().keep(foreign)


def _public_path(path: Path, job: Job) -> str:
    """Return a path fit for a published record: relative to the dataset, or the name alone."""
    for name, root in (("bids::", job.scan.root), ("", job.root)):
        if path.is_relative_to(root):
            return name + path.relative_to(root).as_posix()
    return path.name
