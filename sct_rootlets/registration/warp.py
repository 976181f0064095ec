"""The whole map between a template's cord and a subject's, as a composition with an inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.section import SectionMap


@dataclass(frozen=True)
class CordWarp:
    """A map of the world of a template to that of a subject: straighten, move along, change across, bend.

    Attributes
    ----------
    template, subject : CordSpace
    along : ArcMap
    across : SectionMap
    """

    template: CordSpace
    subject: CordSpace
    along: ArcMap
    across: SectionMap

    def to_subject(self, points: np.ndarray) -> np.ndarray:
        """Where points of the template lie in the subject, shape (N, 3), RAS+ mm."""
        place = self.template.coordinates(points)
        place[:, 1:] = self.across.to_subject(place)
        place[:, 0] = self.along(place[:, 0])
        return self.subject.points(place)

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Where points of the subject lie in the template, shape (N, 3), RAS+ mm."""
        place = self.subject.coordinates(points)
        place[:, 0] = self.along.inverse(place[:, 0])
        place[:, 1:] = self.across.to_template(place[:, 0], place[:, 1:])
        return self.template.points(place)
