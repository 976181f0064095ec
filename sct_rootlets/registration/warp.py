"""The whole map between a template's cord and a subject's, as a composition of invertible maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.section_map import SectionMap


@dataclass(frozen=True)
class CordWarp:
    """A map from the world of a template to that of a subject.

    A point is expressed in the template's cord coordinates, moved along the cord, moved within the cross-section, and
    placed by the subject's cord coordinates.

    Attributes
    ----------
    template_space, subject_space : CordSpace
    arc_map : ArcMap
        Map along the cord.
    section_map : SectionMap
        Map across the cord.
    """

    template_space: CordSpace
    subject_space: CordSpace
    arc_map: ArcMap
    section_map: SectionMap

    def to_subject(self, points: np.ndarray) -> np.ndarray:
        """Map points of the template to the subject, shape (N, 3), RAS+ mm."""
        coordinates = self.template_space.coordinates(points)
        coordinates[:, 1:] = self.section_map.to_subject(coordinates)
        coordinates[:, 0] = self.arc_map(coordinates[:, 0])
        return self.subject_space.points(coordinates)

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Map points of the subject to the template, shape (N, 3), RAS+ mm."""
        coordinates = self.subject_space.coordinates(points)
        coordinates[:, 0] = self.arc_map.inverse(coordinates[:, 0])
        coordinates[:, 1:] = self.section_map.to_template(coordinates[:, 0], coordinates[:, 1:])
        return self.template_space.points(coordinates)
