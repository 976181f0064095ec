"""One scan of a cohort: its inputs, the paths of its outputs, and whether these are up to date."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.bids import LABEL_ENDINGS, SEGMENTED_KINDS
from sct_rootlets.bids_folder import Scan
from sct_rootlets.cohort.record import Record, read_record
from sct_rootlets.cohort.selection import folder_name
from sct_rootlets.deepseg import FieldOfView, NamedBy, SegmentationSettings
from sct_rootlets.distribution import version
from sct_rootlets.models.store import find_model
from sct_rootlets.output.page import has_entry
from sct_rootlets.report.page.entry import About
from sct_rootlets.sidecar import sha256_of
from sct_rootlets.spinal import DISTANCE_MM, Method

if TYPE_CHECKING:
    from sct_rootlets.cohort.measures import MeasureRequest
    from sct_rootlets.segmentation.tiles import Precision

#: Kinds of labels that are used as inputs where they exist.
LABEL_KINDS = ("cord", "rootlets", "discs", "pmj")


@dataclass(frozen=True)
class CohortSettings:
    """Settings of a cohort.

    Attributes
    ----------
    model : str, optional
        Name or folder of a model, in place of the bundled one.
    device : {"cpu", "cuda", "mps"}
    method, distance_mm
        See `sct_rootlets.spinal.spinal_levels`.
    find_discs : bool
        Find discs that are not given in the image.
    omit_uncertain, names, field_of_view, precision
        See `sct_rootlets.deepseg.SegmentationSettings`.
    measures : MeasureRequest, optional
        What is measured of the scans once their levels are known; the levels do not depend on it.
    """

    model: str | None = None
    device: str = "cpu"
    method: Method = "segment"
    distance_mm: float = DISTANCE_MM
    find_discs: bool = True
    omit_uncertain: bool = False
    names: NamedBy = "model"
    field_of_view: FieldOfView = "cord"
    precision: Precision = "float32"
    measures: MeasureRequest | None = None

    @property
    def segmentation(self) -> SegmentationSettings:
        """How the networks run."""
        return SegmentationSettings(
            model=self.model,
            device=self.device,
            omit_uncertain=self.omit_uncertain,
            names=self.names,
            field_of_view=self.field_of_view,
            precision=self.precision,
        )

    def describe(self) -> dict[str, Any]:
        """Return settings, version, and the model with its hashes: the provenance of all results of a cohort."""
        model = find_model(self.model)
        return {
            "Version": version(),
            "Model": model.describe(),
            "Device": self.device,
            "Method": self.method,
            "DistanceMillimeters": self.distance_mm,
            "FindDiscs": self.find_discs,
            "OmitUncertainNames": self.omit_uncertain,
            **({} if model.is_bundled else {"Names": self.names, "FieldOfView": self.field_of_view}),
            **({} if self.precision == "float32" else {"Precision": self.precision}),
        }


@dataclass(frozen=True)
class Job:
    """A scan to be processed.

    Attributes
    ----------
    scan : Scan
    root : Path
        The output folder of the cohort.
    """

    scan: Scan
    root: Path

    @property
    def stem(self) -> str:
        """The beginning of the names of outputs."""
        return self.scan.image.stem

    @property
    def folder(self) -> Path:
        """The folder of the outputs."""
        return self.root / folder_name(self.scan) / "anat"

    @property
    def record(self) -> Path:
        """The file of the record of the outputs (`sct_rootlets.cohort.record`)."""
        return self.folder / f"{self.stem}_provenance.json"

    @property
    def lock(self) -> Path:
        """The file that is locked while the scan is being processed."""
        return self.root / "logs" / "locks" / f"{self.stem}.lock"

    @property
    def attempt(self) -> Path:
        """The file of the last attempt (`sct_rootlets.cohort.attempt`)."""
        return self.root / "logs" / "attempts" / f"{self.stem}.json"

    @property
    def page(self) -> Path:
        """The folder of the page."""
        return self.root / "qc"

    @property
    def about(self) -> About:
        """The scan's description on the page."""
        place = folder_name(self.scan)
        return About(
            file=self.scan.image.path.name, folder=place, command="sct_rootlets bids", subject=place, dataset=""
        )

    def inputs(self, record: Record | None) -> dict[str, Path]:
        """Find the image and its labels, by kind; outputs that were corrected by hand take precedence.

        An output was corrected by hand if it differs from what was written.

        Parameters
        ----------
        record : Record, optional
            The record of the outputs, if there are any.
        """
        paths = {
            "image": self.scan.image.path,
            **{kind: self.scan.labels[kind] for kind in LABEL_KINDS if kind in self.scan.labels},
        }
        for kind in (*SEGMENTED_KINDS, "discs"):
            output = self.folder / f"{self.stem}_{LABEL_ENDINGS[kind]}.nii.gz"
            if output.is_file() and (record is None or not record.wrote(output)):
                paths[kind] = output
        return paths

    def fingerprint(self, inputs: dict[str, Path], provenance: dict[str, Any]) -> str:
        """Hash everything that the outputs depend on: inputs, model, settings, version.

        Parameters
        ----------
        inputs : dict of str to Path
        provenance : dict
            Result of `CohortSettings.describe`.
        """
        content = {"Inputs": {kind: sha256_of(path) for kind, path in inputs.items()}, **provenance}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def is_done(self, provenance: dict[str, Any]) -> bool:
        """Whether outputs and entry of the page are complete, and made from the same inputs in the same way.

        Raises
        ------
        OSError
            If an input cannot be read.
        """
        record = read_record(self.record)
        if record is None or not record.finished or not record.is_whole(self.folder):
            return False
        if not has_entry(self.page, self.about):
            return False
        return record.fingerprint == self.fingerprint(self.inputs(record), provenance)
