"""The result of a registration: warps, table of landmarks, quality, and mapping of points and images."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sct_rootlets.image import Volume
from sct_rootlets.registration.align import Alignment
from sct_rootlets.registration.fields import displacement_field, sample_field
from sct_rootlets.registration.pairs import landmark_errors
from sct_rootlets.registration.quality import Quality, assess
from sct_rootlets.registration.resample import SPLINE_ORDERS, resample
from sct_rootlets.registration.template_folder import TemplateFolder
from sct_rootlets.subject import Inputs, SubjectLevels, levels_from_labels
from sct_rootlets.vertebral import Disc

if TYPE_CHECKING:
    import pandas as pd

Contrast = Literal["t1", "t2", "t2s"]

#: Columns of the table of landmarks.
LANDMARK_COLUMNS = (
    "kind",
    "level",
    "name",
    "used",
    "template_mm",
    "subject_mm",
    "error_mm",
    "left_out_error_mm",
    "confidence",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Registration:
    """A subject registered to a template.

    Attributes
    ----------
    image : Volume
        The scan, or the cord mask if there is no scan; its grid is that of the subject.
    template : TemplateFolder
    alignment : Alignment
    contrast : {"t1", "t2", "t2s"}
        Contrast of the template's image that is brought to the subject.
    sources : dict of str to Volume
        Volumes that were provided: ``image``, ``cord``, ``rootlets``, ``discs``.
    segmented : dict of str to Volume
        ``cord`` and ``rootlets`` if they were not provided.
    sidecars : dict of str to dict
        Sidecars of the segmented volumes.
    settings : dict
        Settings, as the sidecar states them.
    header_notes : tuple of str
        Notes on the headers of the files.
    name_confidence : dict of str to float
        Probabilities of the names of the subject's levels, as far as this package named them.
    external_fields : (numpy.ndarray, numpy.ndarray), optional
        ``warp_anat2template`` and ``warp_template2anat`` of another program, in place of those of the alignment.
    """

    image: Volume
    template: TemplateFolder
    alignment: Alignment
    contrast: Contrast
    sources: dict[str, Volume]
    segmented: dict[str, Volume] = field(default_factory=dict)
    sidecars: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    header_notes: tuple[str, ...] = ()
    name_confidence: dict[str, float] = field(default_factory=dict)
    external_fields: tuple[np.ndarray, np.ndarray] | None = None

    def __repr__(self) -> str:
        """Landmarks as a small table below a line about the whole; no arrays."""
        return f"{self._heading}\n{self._summary_table.to_string(index=False)}"

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return f"<p>{html.escape(self._heading)}</p>\n{self._summary_table.to_html(index=False, border=0)}"

    @property
    def _heading(self) -> str:
        """The scan, the template, and the number of landmarks that are used."""
        n_used = sum(pair.used for pair in self.alignment.pairs)
        return f"Registration of {self.image.name} to {self.template.folder}, landmarks used: {n_used}"

    @property
    def _summary_table(self) -> pd.DataFrame:
        """Position on the subject's cord and error of each landmark."""
        import pandas as pd

        rows = [
            {
                "name": pair.subject.name,
                "subject (mm)": f"{pair.subject.arc_mm:.1f}",
                "error (mm)": f"{round(errors.error_mm, 1) + 0.0:+.1f}",
            }
            for pair, errors in zip(self.alignment.pairs, landmark_errors(self.alignment.pairs), strict=True)
        ]
        return pd.DataFrame(rows)

    @property
    def template_mask(self) -> Volume:
        """Cord mask of the template; its grid is that of the template."""
        return self.alignment.template_cord.mask

    @cached_property
    def warp_anat2template(self) -> np.ndarray:
        """Displacements that bring images of the subject to the template's grid, shape (I, J, K, 3), RAS+ mm."""
        if self.external_fields is not None:
            return self.external_fields[0]
        return displacement_field(
            self.alignment.warp.to_subject, self.template_mask.data.shape, self.template_mask.affine
        )

    @cached_property
    def warp_template2anat(self) -> np.ndarray:
        """Displacements that bring images of the template to the subject's grid, shape (I, J, K, 3), RAS+ mm."""
        if self.external_fields is not None:
            return self.external_fields[1]
        return displacement_field(self.alignment.warp.to_template, self.image.data.shape, self.image.affine)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, one line each."""
        alignment = self.alignment
        template_notes = (f"template: {note}" for note in alignment.template_cord.notes)
        return (*self.header_notes, *template_notes, *alignment.subject_cord.notes, *alignment.notes)

    @cached_property
    def rows(self) -> list[dict[str, object]]:
        """The table of landmarks, one row each (`LANDMARK_COLUMNS`)."""
        rows: list[dict[str, object]] = []
        for pair, errors in zip(self.alignment.pairs, landmark_errors(self.alignment.pairs), strict=True):
            template, subject = pair.template, pair.subject
            confidence = self.name_confidence.get(subject.name) if subject.kind == "rootlets" else None
            positions = (template.arc_mm, subject.arc_mm)
            values = (template.kind, template.value, template.name, pair.used, *positions, *errors, confidence)
            rows.append(dict(zip(LANDMARK_COLUMNS, values, strict=True)))
        return rows

    @cached_property
    def quality(self) -> Quality:
        """How well the cords overlap in template space, and whether space folds."""
        return assess(self.alignment, self.warp_anat2template)

    @cached_property
    def levels(self) -> SubjectLevels:
        """Levels of the subject from the same labels (method ``extent``), whose flags judge mask and rootlets.

        Discs are taken only where there are no rootlets: a registration does with a single one.
        """
        volumes = {**self.segmented, **self.sources}
        inputs = Inputs(**{name: volumes[name] for name in ("image", "cord", "rootlets") if name in volumes})
        if inputs.rootlets is not None:
            return levels_from_labels(inputs, "extent")
        discs = [Disc(one.value, one.arc_mm, one.sd_mm) for one in self.alignment.subject_cord.landmarks]
        return levels_from_labels(inputs, "extent", found_discs=discs)

    def map_to_subject(self, points: np.ndarray) -> np.ndarray:
        """Map points of the template to the subject, shape (N, 3), RAS+ mm."""
        if self.external_fields is not None:
            return points + sample_field(self.warp_anat2template, self.template_mask.affine, points)
        return self.alignment.warp.to_subject(points)

    def resample_to_template(self, volume: Volume, interpolation: str = "linear") -> np.ndarray:
        """Resample an image in the world of the subject to the template's grid.

        Parameters
        ----------
        volume : Volume
        interpolation : {"linear", "nn", "spline"}

        Returns
        -------
        numpy.ndarray, shape (I, J, K)
        """
        order = SPLINE_ORDERS[interpolation]
        return resample(volume, self.warp_anat2template, self.template_mask.affine, order)

    def resample_to_subject(self, volume: Volume, interpolation: str = "linear") -> np.ndarray:
        """Resample an image in the world of the template to the subject's grid, as `resample_to_template` does."""
        return resample(volume, self.warp_template2anat, self.image.affine, SPLINE_ORDERS[interpolation])
