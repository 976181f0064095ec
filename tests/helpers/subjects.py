"""Changes to the levels of a subject that several tests make."""

from __future__ import annotations

from dataclasses import replace

from sct_rootlets.subject import SubjectLevels


def with_confidence(subject: SubjectLevels, confidence: dict[int, float]) -> SubjectLevels:
    """Return a subject whose spinal levels bear names of a given confidence, by value."""
    levels = [replace(level, confidence=confidence.get(level.value)) for level in subject.spinal.levels]
    return replace(subject, spinal=replace(subject.spinal, levels=tuple(levels)))
