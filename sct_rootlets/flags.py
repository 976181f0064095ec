"""The value of a flag: one property of a result, graded, so that a reviewer sees where to look first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "look", "bad", "none"]


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One property of a result.

    Attributes
    ----------
    key, title : str
        Name of the flag in files, and for readers.
    value : float or None
        Number that scans are sorted by, with its sign.
    unit : str
        Unit of the value, such as ``"mm"``; empty for numbers and shares.
    level : (str, str), optional
        Kind and name of the level that decides the grade.
    text : str
        What the flag shows: the value, and what it concerns.
    state : {"ok", "look", "bad", "none"}
        Grade of the value; ``none`` if the value is not known.
    why : str
        Meaning of the value, and what its limits are made of.
    advice : str
        What a user can do about a raised flag, for the terminal; by default, the meaning of the value.
    levels : dict of (str, str) to str
        Levels that the flag concerns, by kind and name, and what is remarkable of each; for the level table.
    """

    key: str
    title: str
    value: float | None = None
    unit: str = ""
    level: tuple[str, str] | None = None
    text: str = "–"
    state: State = "none"
    why: str
    advice: str = ""
    levels: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def is_raised(self) -> bool:
        """Whether the flag asks for a closer look."""
        return self.state in ("look", "bad")

    @property
    def note(self) -> str:
        """One line for the terminal."""
        grade_text = "implausible" if self.state == "bad" else "unusual"
        return f"{self.title} {grade_text}: {self.text}: {self.advice or self.why}"

    def as_facts(self) -> dict[str, object]:
        """The flag as the page holds it; JSON has no infinite values."""
        value = None if self.value is None or not math.isfinite(self.value) else round(self.value, 3)
        return {
            "key": self.key,
            "title": self.title,
            "value": value,
            "unit": self.unit,
            "level": None if self.level is None else {"kind": self.level[0], "name": self.level[1]},
            "text": self.text,
            "state": self.state,
            "why": self.why,
        }

    def as_sidecar(self) -> dict[str, object]:
        """The flag as sidecars hold it."""
        return {"State": self.state, "Value": self.as_facts()["value"], "Text": self.text, "Meaning": self.why}


def grade(value: float, good: float, poor: float) -> State:
    """Grade a value by two limits.

    Parameters
    ----------
    value : float
    good, poor : float
        Limits of ``"ok"`` and of ``"look"``, themselves included. Low values are good if `good` is the lower limit,
        else high values are.

    Examples
    --------
    >>> grade(0.7, 0.8, 0.5), grade(12.0, 7.0, 11.0)
    ('look', 'bad')
    """
    if good > poor:
        value, good, poor = -value, -good, -poor
    return "ok" if value <= good else "look" if value <= poor else "bad"


def worst_state(flags: Sequence[Flag]) -> State:
    """Return the worst state among flags; ``"none"`` if nothing is known."""
    order: tuple[State, ...] = ("none", "ok", "look", "bad")
    return max((flag.state for flag in flags), key=order.index, default="none")


def sidecar_flags(flags: Sequence[Flag]) -> dict[str, object]:
    """Flags by key, as sidecars hold them."""
    return {flag.key: flag.as_sidecar() for flag in flags}


def read_flags(stored: object) -> tuple[Flag, ...]:
    """Flags that `sidecar_flags` stored; those that are not well-formed are left out."""
    flags: list[Flag] = []
    if isinstance(stored, dict):
        for key, one in stored.items():
            if isinstance(one, dict) and one.get("State") in ("ok", "look", "bad", "none"):
                text, meaning = str(one.get("Text", "–")), str(one.get("Meaning", ""))
                flags.append(Flag(key=key, title=key, text=text, state=one["State"], why=meaning))
    return tuple(flags)
