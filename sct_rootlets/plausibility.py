"""Flags of a subject's levels: values that a reviewer sorts scans by, and whether each asks for a closer look.

The limits tell a reviewer where to look first. They are not validated as a test of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.cord_mask import MaskDefect
from sct_rootlets.cord_profile import compare_numberings, even_likelihood, measure_moments
from sct_rootlets.correspondence import LEVEL_PITCH_MM, Pair, correspond, published_bias
from sct_rootlets.flags import Flag, State, grade
from sct_rootlets.image import Volume
from sct_rootlets.levels import FIRST_NAMED, LAST_NAMED, Level, Levels, disc_name, level_name, level_value
from sct_rootlets.straighten import surface_radius, unroll
from sct_rootlets.vertebral import (
    DISC_OFFSET_LIMITS_MM,
    SURE_NUMBERING,
    VERTEBRA_LENGTH_MM,
    Disc,
    VertebralNumbering,
)

# Limits of a value, for `grade`: up to where it is fine, and beyond which it is bad.
#: Probability of a level's name.
CONFIDENCE_LIMITS = (0.8, 0.5)
#: Length of cord in view: in shorter fields of view, names become unreliable (docs/model-card.md, windows of
#: 60 mm).
CORD_LENGTH_LIMITS_MM = (80.0, 50.0)
#: Distance of a level from where it is expected: beyond the first limit it is nearer to the place of a neighbour than
#: to its own; beyond the second, three quarters of the way, its name is most likely wrong.
DEVIATION_LIMITS_MM = (LEVEL_PITCH_MM / 2, 0.75 * LEVEL_PITCH_MM)
#: Length of a spinal level by method ``extent``: root entry zones of PAM50 and six healthy adults measure 5-16 mm.
SPINAL_LENGTH_LIMITS_MM = {"short": (4.0, 2.0), "long": (18.0, 24.0)}
#: Length of a vertebra with its disc: 13-23 mm in PAM50 and six healthy adults (C3 to T2), down to 8 mm in children.
VERTEBRAL_LENGTH_LIMITS_MM = {"short": (9.0, 6.0), "long": (30.0, 40.0)}
#: How many times longer a vertebra is than its neighbour, both against what is usual at their place: at most 1.32 in
#: PAM50 and six healthy adults (C3 to T2). A disc 5 mm from its place, or a number left out, make it about 1.8.
UNEVEN_LIMITS = (1.6, 2.2)
#: Last level whose length is judged: segments of the chest are longer and those below shorter, and so are vertebrae of
#: the loins longer, than the necks that the limits come from.
LAST_JUDGED = {"spinal": LAST_NAMED, "vertebral": level_value("T11", "vertebral")}
#: Probability of the numbers of vertebrae that were found in the image.
NUMBERING_LIMITS = (SURE_NUMBERING, 0.5)
#: Probability, by a T2w scan alone, of other numbers than those of given discs, from which on this is implausible.
CONTRADICTION_LIMIT = 0.95
#: By how much (log-likelihood) the thickness of the cord may speak for other numbers. In windows of 130 mm of six
#: healthy adults it spoke by up to 1.9 against the right ones, and against numbers one off by 4 to 27 in whole scans.
THICKNESS_LIMITS = (3.0, 10.0)
#: The thickness is read where so many discs are known at least, all of them among those that adults were measured at.
USUAL_DISCS = range(1, 13)
MIN_DISCS_FOR_THICKNESS = 4
#: Brightness just outside the cord minus inside, in standard deviations of the noise: rootlets show where they differ.
CONTRAST_LIMITS_SD = (3.0, 1.5)

#: Value of a spinal level minus vertebral coordinate (disc n is n) beside its middle, up to a level: 0.4 to 0.8 in the
#: neck (PAM50), and about 9 at the tip of the cord, where S5 lies beside disc L1/L2. The limits leave room for a level.
NUMBER_LIMITS = {
    LAST_NAMED: (-1.0, 2.5),
    level_value("T12", "spinal"): (-1.0, 5.0),
    level_value("S5", "spinal"): (-1.0, 11.0),
}

#: Distance of the middle between the rootlets of both sides from the centerline of the mask: 0.0 to 0.5 mm in PAM50 and
#: in scans of healthy adults. If a mask is shifted by 3 mm, the rootlets of one side are too far away to count.
MAX_ASIDE_MM = 2.5
#: How far the middle between the foremost and the hindmost rootlets lies in front of the centerline: 1.2 to 1.7 mm
#: there; 0.0 to 0.9 mm if dorsal rootlets are labelled alone, and 3.4 to 3.8 mm for ventral ones.
USUAL_ANTERIOR_MM = 1.4

#: A mask that ends further before the field of view does, about a level and a half, may lack levels. The masks of the
#: bundled model end 6 to 12 mm before it. The straight continuation of the cord is followed for so long.
MAX_SHOWN_BEYOND_MM, MAX_CONTINUED_MM = 20.0, 150.0

#: Distances, along the cord and around it, between the samples of brightness.
SAMPLING_MM, SAMPLING_DEG = 1.0, 15.0
#: Distance of the samples outside the cord from its surface, and of those inside from its centerline, as shares of the
#: radius.
OUTSIDE_MM, INSIDE_RADIUS_SHARES = 1.5, (0.25, 0.5)


class Judged(Protocol):
    """What flags are made of; the levels of a subject, which themselves hold their flags, lie above this module."""

    @property
    def spinal(self) -> Levels | None:
        """Spinal levels by the method of the result."""

    @property
    def extents(self) -> Levels | None:
        """Spinal levels by method ``extent``."""

    @property
    def vertebral(self) -> Levels | None:
        """Vertebral levels."""

    @property
    def rootlet_arcs(self) -> dict[int, np.ndarray]:
        """Arc length of the rootlet voxels of each level in mm, by value."""

    @property
    def rootlets_middle_mm(self) -> tuple[float, float] | None:
        """How far the middle of the rootlets lies to the right and to the front of the centerline, if there are any."""

    @property
    def cord(self) -> Volume:
        """Cord mask, as booleans."""

    @property
    def centerline(self) -> Centerline:
        """Curve through the cord."""

    @property
    def image(self) -> Volume | None:
        """The scan."""

    @property
    def mask_defects(self) -> tuple[MaskDefect, ...]:
        """Where the cord mask is missing or too thin."""

    @property
    def mask_problems(self) -> tuple[str, ...]:
        """Why the cord mask does not show one whole cord."""

    @property
    def discs(self) -> list[Disc]:
        """Discs, given or found in the image."""

    @property
    def numbering(self) -> VertebralNumbering | None:
        """How sure the numbers of discs are that were found in the image."""

    @property
    def name_sources(self) -> tuple[str, ...] | None:
        """Sources of evidence that decided the names of spinal levels, where they are known."""


def level_flags(subject: Judged) -> tuple[Flag, ...]:
    """Compute the flags of a subject's levels, in the order of the table's columns.

    Parameters
    ----------
    subject : Judged
        Such as `sct_rootlets.subject.SubjectLevels`.

    Returns
    -------
    tuple of Flag
    """
    return (
        _levels_flag(subject),
        _order_flag(subject),
        confidence_flag({level.name: level.confidence for level in _spinal(subject)}),
        _complete_flag(subject),
        _length_flag(subject),
        _contrast_flag(subject),
        _deviation_flag(subject),
        _level_length_flag(subject),
        _mask_flag(subject),
        _numbering_flag(subject),
    )


def _spinal(subject: Judged) -> tuple[Level, ...]:
    return () if subject.spinal is None else subject.spinal.levels


def _levels_flag(subject: Judged) -> Flag:
    key, title, why = "levels", "levels", "spinal levels found"
    names = [level.name for level in _spinal(subject)]
    if not names:
        return Flag(key=key, title=title, value=0.0, text="none", state="bad", why=why)
    text = f"{len(names)} ({names[0]}–{names[-1]})"
    return Flag(key=key, title=title, value=float(len(names)), text=text, state="ok", why=why)


def _order_flag(subject: Judged) -> Flag:
    """Compare the middles of the levels' own rootlets, if there are any: they show also what was corrected since."""
    middles = {level.value: level.midpoint_mm for level in _spinal(subject)}
    return order_flag({value: float(np.median(arc)) for value, arc in subject.rootlet_arcs.items()} or middles)


def order_flag(middles: Mapping[int, float]) -> Flag:
    """Judge whether spinal levels follow one another.

    Parameters
    ----------
    middles : mapping of int to float
        Position of the middle of each level along the cord in mm, by value.
    """
    key, title = "order", "order"
    why = "whether levels follow one another from rostral to caudal, none of them left out"
    values = sorted(middles)
    if len(values) < 2:
        return Flag(key=key, title=title, why=why)
    names = {value: level_name(value, "spinal") for value in values}
    swapped = [(upper, lower) for upper, lower in pairwise(values) if middles[lower] <= middles[upper]]
    missing = sorted(set(range(values[0], values[-1])) - set(values))
    problems = [f"{names[lower]} above {names[upper]}" for upper, lower in swapped]
    problems += [f"no {level_name(value, 'spinal')}" for value in missing]
    return Flag(
        key=key,
        title=title,
        value=float(10 * len(swapped) + len(missing)),
        level=("spinal", names[swapped[0][1]]) if swapped else None,
        text=", ".join(problems) or "in order",
        state="bad" if swapped else "look" if missing else "ok",
        why=why,
    )


def confidence_flag(confidence: Mapping[str, float | None]) -> Flag:
    """Take the least probability of a name of spinal levels, by name; None where it is not known."""
    key, title, why = "confidence", "confidence", "lowest probability of a level's name"
    named = [(value, name) for name, value in confidence.items() if value is not None]
    if not named:
        return Flag(key=key, title=title, why=f"{why}; not known for rootlets that were given")
    lowest, name = min(named, key=lambda pair: pair[0])
    state = grade(lowest, *CONFIDENCE_LIMITS)
    text = f"{lowest:.2f}  {name}"
    return Flag(key=key, title=title, value=lowest, level=("spinal", name), text=text, state=state, why=why)


def _complete_flag(subject: Judged) -> Flag:
    key, title = "complete", "complete"
    why = (
        "share of levels that are neither cut by the field of view nor known by few rootlets or one root only; the "
        "first and the last level are often cut, and are not named here"
    )
    levels = _spinal(subject)
    if not levels:
        return Flag(key=key, title=title, why=why)
    incomplete = [level for level in levels if level.incomplete]
    n_complete = len(levels) - len(incomplete)
    inner = [level for level in incomplete if level not in (levels[0], levels[-1])]  # the outer levels are often cut
    text = f"{n_complete}/{len(levels)}"
    if inner:
        text += f"  not {', '.join(level.name for level in inner)}"
    state: State = "look" if inner else "ok"
    decisive = ("spinal", inner[0].name) if inner else None
    return Flag(key=key, title=title, value=n_complete / len(levels), level=decisive, text=text, state=state, why=why)


def _length_flag(subject: Judged) -> Flag:
    length = subject.centerline.cord_length
    return Flag(
        key="length",
        title="cord (mm)",
        value=length,
        unit="mm",
        text=f"{length:.0f}",
        state=grade(length, *CORD_LENGTH_LIMITS_MM),
        why=f"length of the cord in view; below {CORD_LENGTH_LIMITS_MM[0]:.0f} mm names become unreliable",
    )


def _contrast_flag(subject: Judged) -> Flag:
    key, title = "contrast", "contrast"
    why = (
        "brightness just outside the cord against inside, in standard deviations of the noise in the cord "
        "(negative where fluid is darker); rootlets show where they differ"
    )
    image = subject.image
    contrast = None if image is None else csf_cord_contrast(image, subject.cord, subject.centerline)
    if contrast is None:
        return Flag(key=key, title=title, why=why)
    state = grade(abs(contrast), *CONTRAST_LIMITS_SD)
    return Flag(key=key, title=title, value=contrast, unit="SD", text=f"{contrast:+.1f}", state=state, why=why)


def csf_cord_contrast(image: Volume, cord: Volume, line: Centerline) -> float | None:
    """Measure the brightness of the fluid just outside the cord minus that of the cord, in units of the noise.

    Parameters
    ----------
    image : Volume
    cord : Volume
        Cord mask, as booleans.
    line : Centerline

    Returns
    -------
    float or None
        Median difference along the cord over the standard deviation within cuts of the cord (1.4826 times the median
        absolute deviation); None if there is no noise, as in an empty image.
    """
    arc = np.arange(0, line.cord_length, SAMPLING_MM) + SAMPLING_MM / 2
    angle = np.arange(-180, 180, SAMPLING_DEG)
    radius = surface_radius(cord, line, arc, angle)

    def brightness(distance_mm: np.ndarray) -> np.ndarray:
        # The nearest voxel: interpolation would average the noise away.
        return np.nan_to_num(unroll(image, line, arc, angle, distance_mm, order=0))

    outside = brightness(radius + OUTSIDE_MM)
    inside = np.concatenate([brightness(share * radius) for share in INSIDE_RADIUS_SHARES], axis=1)
    middle = np.median(inside, axis=1, keepdims=True)
    noise = 1.4826 * float(np.median(np.abs(inside - middle)))
    if noise <= 0:
        return None
    return float(np.median(np.median(outside, axis=1) - middle[:, 0])) / noise


def _deviation_flag(subject: Judged) -> Flag:
    key, title = "deviation", "deviation (mm)"
    impossible = impossible_places(subject)
    if impossible:
        name, vertebra = next(iter(impossible.items()))
        return Flag(
            key=key,
            title=title,
            level=("spinal", name),
            text=f"{name} beside vertebra {vertebra}",
            state="bad",
            why="how far level midpoints are from where they are expected; no level can lie beside the vertebra that "
            "it is found beside here",
            advice="check the numbers of rootlets and discs: those of one kind are off by several levels",
            levels={("spinal", one): f"beside vertebra {other}" for one, other in impossible.items()},
        )
    distances = deviations(subject)
    if not distances:
        return Flag(key=key, title=title, why="how far level midpoints are from where they are expected")
    if _shares_numbering(subject):
        return Flag(
            key=key,
            title=title,
            text="not independent",
            why="how far level midpoints are from where they are expected: rootlets and vertebrae were numbered by the "
            "same image, and kinds of evidence do not agree, so that both may be off by a level together",
        )
    name, furthest = max(distances.items(), key=lambda item: abs(item[1]))
    good, poor = DEVIATION_LIMITS_MM
    if _pairs_by_extent(subject):
        against = (
            "against the vertebrae: the published median differences at the ends, 0.00 and 8.15 mm, and those of PAM50 "
            "between them; the published spread is not known"
        )
    else:
        against = f"from their neighbours, {LEVEL_PITCH_MM:g} mm a level (no discs are known)"
    return Flag(
        key=key,
        title=title,
        value=furthest,
        unit="mm",
        level=("spinal", name.split("–")[-1]),
        text=f"{furthest:+.1f}  {name}",
        state=grade(abs(furthest), good, poor),
        why=(
            f"largest distance of a level's midpoint (method extent) from where it is expected {against}; positive is "
            f"more caudal. The limits, {good:g} and {poor:.1f} mm, are a half and three quarters of the distance "
            "between levels: beyond them a name is probably one off, of the rootlets or of the discs"
        ),
        advice=(
            "check the names of rootlets and discs, one of which is probably off by a level, and that discs are "
            "labelled at their posterior tips"
            if _pairs_by_extent(subject)
            else "check the names of the rootlets, or give discs"
        ),
        levels={
            ("spinal", level): f"deviation {distance:+.1f} mm"
            for level, distance in distances.items()
            if abs(distance) > good and level in {spinal.name for spinal in _spinal(subject)}
        },
    )


def _shares_numbering(subject: Judged) -> bool:
    """Whether one numbering, which nothing independent supports, named both rootlets and vertebrae."""
    numbering = subject.numbering
    if numbering is None or numbering.is_given or numbering.is_corroborated or subject.vertebral is None:
        return False
    return subject.name_sources is not None and "model" not in subject.name_sources


def _numbering_flag(subject: Judged) -> Flag:
    key, title = "numbering", "numbering"
    why = (
        "probability of the numbers of vertebrae that were found in the image; and whether the thickness of the cord, "
        "compared with 203 healthy adults (doi 10.1162/imag_a_00075), speaks for other numbers; of given discs, "
        "whether a T2w scan shows them there, with these numbers"
    )
    numbering = None if subject.vertebral is None else subject.numbering
    against = thickness_against(subject)
    if numbering is None and against is None:
        return Flag(key=key, title=title, why=why)
    states: list[State] = ["ok"]
    texts = []
    if numbering is not None and not numbering.is_given:
        states.append(grade(numbering.probability, *NUMBERING_LIMITS))
        texts.append(f"{numbering.probability:.2f}")
    else:
        texts.append("given")
    if numbering is not None and numbering.contradicted_by_image is not None:
        states.append("look" if numbering.contradicted_by_image < CONTRADICTION_LIMIT else "bad")
        texts.append(f"others by the image ({numbering.contradicted_by_image:.2f})")
    if numbering is not None and numbering.misplaced_discs:
        value, off = max(numbering.misplaced_discs.items(), key=lambda item: abs(item[1]))
        states.append(grade(abs(off), *DISC_OFFSET_LIMITS_MM))
        texts.append(f"disc {disc_name(value)} {abs(off):.0f} mm off")
    shift, by = against or (0, 0.0)
    if shift:
        states.append(grade(by, *THICKNESS_LIMITS))
        if states[-1] != "ok":
            count = {1: "one", 2: "two"}[abs(shift)]
            texts.append(f"cord as thick as {count} further {'down' if shift > 0 else 'up'}")
    worst: State = "bad" if "bad" in states else "look" if "look" in states else "ok"
    return Flag(
        key=key,
        title=title,
        value=1.0 if numbering is None else numbering.probability,
        text=", ".join(texts),
        state=worst,
        why=why,
        advice="check the number of one disc, and give it (-ldisc); rootlets and discs may be off by a level together",
    )


def thickness_against(subject: Judged) -> tuple[int, float] | None:
    """Compare the thickness of the cord with what is usual beside its discs, and beside their neighbours.

    Parameters
    ----------
    subject : Judged

    Returns
    -------
    (int, float) or None
        By how many vertebrae further down (up to two) the cord looks as if it lay, and by how much the log-likelihood
        is greater there; None where too few discs are known, or the cord is as thick everywhere.
    """
    discs = {disc.value: disc.arc_mm for disc in subject.discs}
    if len(discs) < MIN_DISCS_FOR_THICKNESS or max(discs) > max(USUAL_DISCS):
        return None
    n_cells = int(np.ceil(subject.centerline.cord_length))
    cells = np.arange(n_cells) + 0.5
    values = np.array(sorted(discs), dtype=float)
    at = np.array([discs[int(value)] for value in values])
    inside = (cells >= at[0]) & (cells <= at[-1])
    if inside.sum() < CORD_LENGTH_LIMITS_MM[1]:
        return None
    moments = measure_moments(subject.cord.data, subject.cord.affine, subject.centerline, n_cells)
    coordinate = np.interp(cells, at, values)
    shifts = range(-2, 3)
    likelihood = compare_numberings(moments, [coordinate + shift for shift in shifts], inside)
    best = int(likelihood.argmax())
    if likelihood[best] < even_likelihood(moments, coordinate, inside):
        return None
    return shifts[best], float(likelihood[best] - likelihood[shifts.index(0)])


def _pairs_by_extent(subject: Judged) -> list[Pair]:
    """Shifted pairs of the vertebral levels with the spinal levels by method ``extent``."""
    extents = subject.extents or subject.spinal
    if extents is None or subject.vertebral is None:
        return []
    return [pair for pair in correspond(extents, subject.vertebral) if pair.pairing == "shifted"]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Where a spinal level is expected, and where it was measured, by method ``extent``.

    Attributes
    ----------
    name : str
        Name of the level.
    label : str
        What the distance between the two is called: the name, or that of the level above and the name.
    expected_mm, measured_mm : float
        Arc length of the midpoint.
    measured_sd_mm : float
        Standard deviation of the measured midpoint, from those of the two ends.
    source : {"published", "PAM50", "level above"}
        What it is expected from: the published median of a pair with a vertebra, PAM50's own pair, or the usual
        distance from the level above.
    """

    name: str
    label: str
    expected_mm: float
    measured_mm: float
    measured_sd_mm: float
    source: Literal["published", "PAM50", "level above"]

    @property
    def deviation_mm(self) -> float:
        """Distance of the measured midpoint from the expected one, positive where it lies more caudally."""
        return self.measured_mm - self.expected_mm


def expectations(subject: Judged) -> list[Expectation]:
    """Tell where spinal levels are expected, and where they are.

    With vertebrae, a level is expected at the published distance from the vertebra that it is compared with
    (`sct_rootlets.correspondence.published_bias`, arXiv 2509.16255, whose medians are known of the first and the last
    pair; those between are of PAM50); without them, at `LEVEL_PITCH_MM` a level from the level above it. Nothing is
    expected of levels below T1.

    Parameters
    ----------
    subject : Judged
        Such as `sct_rootlets.subject.SubjectLevels`.

    Returns
    -------
    list of Expectation
        From rostral to caudal.
    """
    bias = published_bias()
    ends = (next(iter(bias)), next(reversed(bias)))
    pairs = _pairs_by_extent(subject)
    if pairs:
        known = [(pair, (pair.vertebral.name, pair.spinal.name)) for pair in pairs]
        return [
            _expectation(
                pair.spinal,
                pair.vertebral.midpoint_mm - bias[names],
                pair.spinal.name,
                "published" if names in ends else "PAM50",
            )
            for pair, names in known
            if names in bias
        ]
    extents = subject.extents or subject.spinal
    return [
        _expectation(
            below,
            above.midpoint_mm + LEVEL_PITCH_MM * (below.value - above.value),
            f"{above.name}–{below.name}",
            "level above",
        )
        for above, below in pairwise(() if extents is None else extents.levels)
        if below.value <= LAST_NAMED
    ]


def impossible_places(subject: Judged) -> dict[str, str]:
    """Find spinal levels beside vertebrae that they cannot lie beside, where no level has its vertebra to compare with.

    Parameters
    ----------
    subject : Judged

    Returns
    -------
    dict of str to str
        Name of the vertebra by name of the spinal level; empty if a level has its vertebra (`expectations`).
    """
    extents = subject.extents or subject.spinal
    if extents is None or subject.vertebral is None or _pairs_by_extent(subject):
        return {}
    found = {}
    for level in extents.levels:
        limits = next(limits for last, limits in NUMBER_LIMITS.items() if level.value <= last)
        for vertebra in subject.vertebral.levels:
            if vertebra.rostral_mm <= level.midpoint_mm < vertebra.caudal_mm:
                share = (level.midpoint_mm - vertebra.rostral_mm) / vertebra.length_mm
                if not limits[0] <= level.value - vertebra.value - share <= limits[1]:
                    found[level.name] = vertebra.name
    return found


def _expectation(
    level: Level, expected_mm: float, label: str, source: Literal["published", "PAM50", "level above"]
) -> Expectation:
    return Expectation(
        name=level.name,
        label=label,
        expected_mm=expected_mm,
        measured_mm=level.midpoint_mm,
        measured_sd_mm=float(np.hypot(level.rostral_sd_mm, level.caudal_sd_mm) / 2),
        source=source,
    )


def deviations(subject: Judged) -> dict[str, float]:
    """Measure how far midpoints of spinal levels are from where they are expected (`expectations`).

    Parameters
    ----------
    subject : Judged
        Such as `sct_rootlets.subject.SubjectLevels`.

    Returns
    -------
    dict of str to float
        mm by name, positive where a level lies more caudally.
    """
    return {one.label: one.deviation_mm for one in expectations(subject)}


def _level_length_flag(subject: Judged) -> Flag:
    """Grade the lengths of spinal levels by method ``extent`` and of vertebrae; incomplete levels may be short."""
    key, title = "level_length", "level length (mm)"
    short, long_ = SPINAL_LENGTH_LIMITS_MM.values()
    v_short, v_long = VERTEBRAL_LENGTH_LIMITS_MM.values()
    why = (
        f"lengths of levels: usual are {short[0]:g} to {long_[0]:g} mm of spinal levels (method extent) and "
        f"{v_short[0]:g} to {v_long[0]:g} mm of vertebrae, from PAM50 and six healthy adults, with room for children; "
        f"and vertebrae at most {UNEVEN_LIMITS[0]:g} times as long as their neighbours, against what is usual there"
    )
    graded: list[tuple[State, str, Level]] = []
    kinds = (
        (subject.extents or subject.spinal, SPINAL_LENGTH_LIMITS_MM),
        (subject.vertebral, VERTEBRAL_LENGTH_LIMITS_MM),
    )
    for levels, limits in kinds:
        for level in () if levels is None else levels.levels:
            if level.value > LAST_JUDGED[level.kind]:
                continue
            state = grade(level.length_mm, *limits["long"])
            if state == "ok" and not level.incomplete:
                state = grade(level.length_mm, *limits["short"])
            graded.append((state, levels.kind if levels is not None else "", level))
    if not graded:
        return Flag(key=key, title=title, why=why)
    raised = [(state, kind, level) for state, kind, level in graded if state != "ok"]
    uneven = {value: ratio for value, ratio in compare_vertebrae(subject.discs).items() if ratio > UNEVEN_LIMITS[0]}
    states = [*(state for state, _, _ in raised), *(grade(ratio, *UNEVEN_LIMITS) for ratio in uneven.values())]
    worst: State = "bad" if "bad" in states else "look" if states else "ok"
    texts = [f"{kind} {level.name} {level.length_mm:.1f}" for _, kind, level in raised]
    texts += [f"vertebrae beside disc {disc_name(value)} {ratio:.1f} to 1" for value, ratio in uneven.items()]
    advice = "check that each label lies where it belongs, and the voxel size in the header"
    return Flag(
        key=key,
        title=title,
        value=float(len(texts)),
        level=next(((kind, level.name) for state, kind, level in raised if state == worst), None),
        text=", ".join(texts) or "usual",
        state=worst,
        why=why,
        advice=advice,
        levels={(kind, level.name): f"length {level.length_mm:.1f} mm" for _, kind, level in raised},
    )


def compare_vertebrae(discs: Sequence[Disc]) -> dict[int, float]:
    """Compare the lengths of the vertebrae above and below each disc.

    Parameters
    ----------
    discs : sequence of Disc

    Returns
    -------
    dict of int to float
        How many times longer, by the value of the disc, the one is than the other, both divided by what is usual at
        their place (`VERTEBRA_LENGTH_MM`); where numbers are left out, the mean of several vertebrae. From C1/C2 to
        T3/T4.
    """
    known = {disc.value: disc.arc_mm for disc in discs if 2 <= disc.value <= len(VERTEBRA_LENGTH_MM) + 1}
    usual = {(upper, lower): sum(VERTEBRA_LENGTH_MM[upper - 1 : lower - 1]) for upper, lower in pairwise(sorted(known))}
    relative = [(lower, (known[lower] - known[upper]) / length) for (upper, lower), length in usual.items()]
    return {
        value: max(above / below, below / above)
        for (value, above), (_, below) in pairwise(relative)
        if above > 0 and below > 0
    }


def _mask_flag(subject: Judged) -> Flag:
    problems, defects, aside = subject.mask_problems, subject.mask_defects, _describe_aside(subject)
    ends = _describe_early_ends(subject)
    texts = [*problems, *(f"{defect.kind} over {defect.length_mm:.0f} mm" for defect in defects), *ends, *aside]
    state: State = "bad" if problems else "look" if texts else "ok"
    advice = (
        ["complete or replace the mask; levels beside the defect are not known well"] if problems or defects else []
    )
    if ends:
        advice.append("look at the image beyond the end of the mask, and continue the mask if the cord goes on there")
    if aside:
        advice.append("check that the mask is that of this scan, and that rootlets of both sides are labelled")
    return Flag(
        key="mask",
        title="cord mask",
        value=float(len(texts)),
        text="; ".join(texts) or "whole",
        state=state,
        why="whether the mask shows one whole cord along its length, in the middle between the rootlets of both sides",
        advice="; ".join(advice),
    )


def _describe_early_ends(subject: Judged) -> list[str]:
    """Say that the mask ends long before the field of view does, where the levels beyond its end were not found."""
    found = {level.value for level in _spinal(subject)}
    if not found or min(found) > LAST_NAMED:
        return []
    texts = []
    ends = (
        ("rostral", 0.0, -1, (FIRST_NAMED, FIRST_NAMED + 1)),
        ("caudal", subject.centerline.cord_length, 1, (LAST_NAMED,)),
    )
    for side, arc_mm, direction, expected in ends:
        shown_mm = 0.0 if found & set(expected) else _length_shown(subject, arc_mm, direction)
        if shown_mm > MAX_SHOWN_BEYOND_MM:
            names = " and ".join(level_name(value, "spinal") for value in expected)
            texts.append(f"{side} end {shown_mm:.0f} mm before that of the field of view, and {names} not found")
    return texts


def _length_shown(subject: Judged, arc_mm: float, direction: int) -> float:
    """Length of the straight continuation of the cord that lies in the field of view, without uniform padding; mm."""
    volume = subject.cord if subject.image is None else subject.image
    points = subject.centerline.position(arc_mm + direction * np.arange(1.0, MAX_CONTINUED_MM))
    index = np.rint(apply_affine(np.linalg.inv(volume.affine), points)).astype(int)
    inside = ((index >= 0) & (index < volume.data.shape)).all(axis=1)
    n_inside = len(inside) if inside.all() else int(inside.argmin())
    if subject.image is not None and n_inside:
        values = volume.data[tuple(index[:n_inside].T)]
        n_inside = int(np.flatnonzero(values != values[-1]).max(initial=-1)) + 1
    return float(n_inside)


def _describe_aside(subject: Judged) -> list[str]:
    """Say that the rootlets lie to one side of the mask, as they do if the mask is that of another scan."""
    if subject.rootlets_middle_mm is None:
        return []
    right_mm, anterior_mm = subject.rootlets_middle_mm
    texts = []
    if abs(right_mm) > MAX_ASIDE_MM:
        are_sides_known = any(level.roots for level in _spinal(subject))
        side = ("to the right of" if right_mm > 0 else "to the left of") if are_sides_known else "beside"
        texts.append(f"the middle of the rootlets lies {abs(right_mm):.1f} mm {side} that of the mask")
    if abs(anterior_mm - USUAL_ANTERIOR_MM) > MAX_ASIDE_MM:
        side = "in front of" if anterior_mm > 0 else "behind"
        texts.append(
            f"the middle of the rootlets lies {abs(anterior_mm):.1f} mm {side} that of the mask (usually "
            f"{USUAL_ANTERIOR_MM:g} mm in front)"
        )
    return texts
