"""One scan of a cohort: from its image, and the labels there are, to its outputs and its place on the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.cohort.plan import CohortSettings, Job
from sct_rootlets.cohort.record import Record, read_record
from sct_rootlets.deepseg import Settings, levels_of_image
from sct_rootlets.errors import DatasetError
from sct_rootlets.models.weights import sha256_of
from sct_rootlets.output.files import staged_outputs
from sct_rootlets.output.levels import save_levels
from sct_rootlets.output.page import add_levels

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmenter

#: Between two writings of the page's list while scans are being added; it is complete in the end.
PAGE_EVERY_S = 30.0


def process(job: Job, settings: CohortSettings, described: dict[str, Any], load: Callable[[], Segmenter]) -> None:
    """Do one scan: write its outputs, its entry of the page, and its record.

    Parameters
    ----------
    job : Job
    settings : CohortSettings
    described : dict
        `CohortSettings.describe`, which reads model files: done once for many scans.
    load : callable
        Returns the networks: loaded once for many scans, and only if something is to be segmented.

    Raises
    ------
    SctRootletsError
        If the scan cannot be done.
    """
    earlier = read_record(job.record)
    inputs = job.inputs(earlier)
    fingerprint = job.fingerprint(inputs, described)
    given = {kind: path for kind, path in inputs.items() if kind != "image"}
    subject = levels_of_image(
        inputs["image"],
        **given,
        method=settings.method,
        distance_mm=settings.distance_mm,
        settings=Settings(model=settings.model, device=settings.device),
        segmenter=None if {"cord", "rootlets"} <= given.keys() else load(),
    )
    before = {} if earlier is None else earlier.digests
    with staged_outputs(job.folder, keep=given.values()) as stage:
        paths = save_levels(subject, stage, prefix=job.stem)
        if job.inputs(earlier) != inputs or job.fingerprint(inputs, described) != fingerprint:
            raise DatasetError("its image or labels were changed while it was being done; run again")
        record = Record(
            fingerprint,
            finished=False,
            written={path.name: sha256_of(path) for path in paths},
            earlier=before,
            facts={**described, "Sources": {kind: _shown(path, job) for kind, path in inputs.items()}},
        )
        record.save(job.record)
    for name in before.keys() - record.written.keys():
        stale = job.folder / name
        if stale not in given.values():  # what was corrected by hand is an input now
            stale.unlink(missing_ok=True)
    add_levels(job.page, subject, job.about, PAGE_EVERY_S)
    replace(record, finished=True, earlier={}).save(job.record)


def _shown(path: Path, job: Job) -> str:
    """A path as a published record may show it: within the dataset, or its name alone."""
    for name, root in (("bids::", job.scan.root), ("", job.root)):
        if path.is_relative_to(root):
            return name + path.relative_to(root).as_posix()
    return path.name
