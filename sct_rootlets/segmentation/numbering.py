"""How the vertebrae beside a cord are numbered: kinds of evidence that err independently, and what they say together.

Each kind of evidence compares whole-number shifts of the numbering (`sct_rootlets.segmentation.vertebral_path`):

- ``"vertebrae"``: what bones and discs look like;
- ``"thickness"``: how thick the cord is (`sct_rootlets.cord_profile`);
- ``"rootlets"``: which levels the network of rootlets sees, where rootlets usually lie against the vertebrae;
- ``"segments"``: which spinal levels the surroundings look like.

Weights and limits were fitted so that stated probabilities come true (`WEIGHTS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import ABOVE_C2, BELOW_T1, FIRST_NAMED, LAST_NAMED
from sct_rootlets.segmentation.vertebral_path import USUAL_LENGTH_MM, VertebralPath
from sct_rootlets.vertebral import DISC_OFFSET_SD, SURE_NUMBERING, Disc, VertebralNumbering

#: Weight of each kind of evidence, and the greatest difference of log-likelihoods that counts. Weights were fitted to
#: whole scans and windows of 60, 90 and 130 mm of six healthy adults, by networks that had not seen the person (in each
#: figure of the model card, to the five others).
WEIGHTS = {"vertebrae": 0.07, "thickness": 0.24, "segments": 0.21, "rootlets": 0.04}
LIMIT = 18.0
#: Kinds of evidence that err independently of one another; those of one network do not.
INDEPENDENT_KINDS = (("vertebrae", "segments"), ("thickness",), ("rootlets",))
#: Distance along the cord from a disc that is given, over which it moves those that are found.
REACH_OF_GIVEN_MM = 20.0
#: No name is less probable than this, because networks are overconfident; they err alike over this length.
MIN_NAME_PROBABILITY = 0.02
INDEPENDENCE_MM = 12.0
#: Numberings of a lower probability are not considered.
MIN_PROBABILITY = 0.02
#: Discs that are found in images: C1/C2 to T3/T4.
FIRST_DISC, LAST_FOUND_DISC = 2, 11
#: Standard deviation of the position of a disc that is seen clearly.
MIN_DISC_SD_MM = 1.0


@dataclass(frozen=True)
class Numbering:
    """The paths of the vertebral coordinate, and what speaks for each.

    Attributes
    ----------
    paths : tuple of VertebralPath
    evidence : dict of str to numpy.ndarray, shape (P,)
        Log-likelihood of each path, by kind of evidence; the greatest is 0.
    probability : numpy.ndarray, shape (P,)
    given_shift : int
        By how many vertebrae discs that were given differ from the most probable numbering of the image.
    given_off : dict of int to float
        By how much of a vertebra each disc that was given lies below its place on the path that they chose, by value.
    """

    paths: tuple[VertebralPath, ...]
    evidence: dict[str, np.ndarray]
    probability: np.ndarray
    given_shift: int = 0
    given_off: Mapping[int, float] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """Index of the most probable path."""
        return int(self.probability.argmax())

    def agrees(self) -> bool:
        """Whether two independent kinds of evidence or more favour the most probable numbering, and none another.

        A kind favours a numbering if it makes it, by itself, at least three times as likely as any other.
        """
        favoured = []
        for kinds in INDEPENDENT_KINDS:
            known = [self.evidence[kind] for kind in kinds if kind in self.evidence]
            if not known:
                continue
            values = np.sum(known, axis=0)
            order = np.argsort(values)
            if len(values) < 2 or values[order[-1]] - values[order[-2]] >= np.log(3):
                favoured.append(int(order[-1]))
        return len(favoured) >= 2 and all(index == self.best for index in favoured)

    @property
    def alternatives(self) -> dict[int, float]:
        """Probability of each numbering, by its shift against the most probable one; positive is further caudal."""
        best = self.paths[self.best].shift
        return {
            path.shift - best: float(probability)
            for path, probability in zip(self.paths, self.probability, strict=True)
        }

    def describe_doubt(self) -> str | None:
        """Say how the vertebrae could be numbered otherwise; None where that is improbable."""
        confidence = float(self.probability.max())
        if confidence >= SURE_NUMBERING:
            return None
        others = [
            f"{_shift_text(shift)}: {probability:.2f}"
            for shift, probability in sorted(self.alternatives.items(), key=lambda item: -item[1])
            if shift and probability >= 0.05
        ]
        return f"the numbers of the vertebrae are uncertain (probability {confidence:.2f}; {', '.join(others)})"

    def summary(self, is_given: bool = False) -> VertebralNumbering:
        """Say how sure the numbers are, as tables and sidecars give it."""
        return VertebralNumbering(float(self.probability.max()), self.alternatives, self.agrees(), is_given)

    def contradicts(self, by_image: Numbering) -> bool:
        """Whether discs that were given number the vertebrae differently from the image."""
        return self.best != by_image.best or self.given_shift != 0

    def name_limit(self) -> float:
        """Return the greatest confidence of names: discs half a vertebra from their place may have either number.

        The vertebra that they lie beside is compared with its neighbour, by a normal distribution of their places.
        """
        off = abs(float(np.median(list(self.given_off.values())))) if self.given_off else 0.0
        return 1 / (1 + float(np.exp(-(1 - 2 * off) / (2 * DISC_OFFSET_SD**2))))

    def offset_mm(self, arc: np.ndarray) -> dict[int, float]:
        """Return `given_off` in mm, given the places of the paths along the cord."""
        path = self.paths[self.best].coordinate
        mean_pace = (path[-1] - path[0]) / max(arc[-1] - arc[0], 1e-6)
        return {value: off / max(float(mean_pace), 1e-3) for value, off in self.given_off.items()}

    def fixed_by(self, arc: np.ndarray, discs: Mapping[int, float]) -> Numbering:
        """Return the numbering that discs fix; its path runs through them, and away from them where the image has it.

        Parameters
        ----------
        arc : numpy.ndarray, shape (N,)
            Places of the paths along the cord.
        discs : mapping of int to float
            Arc length in mm by value; at least one.
        """
        values = np.array(sorted(discs), dtype=float)
        at = np.array([discs[int(value)] for value in values])
        off = np.array([np.abs(np.interp(at, arc, path.coordinate) - values).mean() for path in self.paths])
        index = int(off.argmin())
        path = self.paths[index]
        given_shift = np.round(np.median(values - np.interp(at, arc, self.paths[self.best].coordinate)))
        off_path = values - np.interp(at, arc, path.coordinate)
        shift = float(np.round(np.median(off_path)))  # of discs that are numbered further off than any path
        reach = [at[0] - REACH_OF_GIVEN_MM, *at, at[-1] + REACH_OF_GIVEN_MM]
        correction = shift + np.interp(arc, reach, [0.0, *(off_path - shift), 0.0])
        paths = list(self.paths)
        paths[index] = replace(path, coordinate=np.maximum.accumulate(path.coordinate + correction))
        given_off = {int(value): float(shift - off) for value, off in zip(values, off_path, strict=True)}
        return Numbering(tuple(paths), self.evidence, np.eye(len(paths))[index], int(given_shift), given_off)


def count_text(number: int) -> str:
    """Write a small number as a word."""
    return {1: "one", 2: "two", 3: "three", 4: "four"}.get(number, str(number))


def _shift_text(shift: int) -> str:
    return f"{count_text(abs(shift))} {'more' if shift > 0 else 'less'}"


def combine(paths: Sequence[VertebralPath], evidence: Mapping[str, np.ndarray]) -> Numbering:
    """Weigh kinds of evidence against one another.

    Parameters
    ----------
    paths : sequence of VertebralPath
    evidence : mapping of str to numpy.ndarray, shape (P,)
        Log-likelihood of each path, up to a constant, by kind of evidence.
    """
    relative = {kind: np.asarray(values) - np.max(values) for kind, values in evidence.items()}
    score = np.zeros(len(paths))
    for kind, values in relative.items():
        score += WEIGHTS[kind] * np.maximum(values, -LIMIT)
    probability = np.exp(score - score.max())
    return Numbering(tuple(paths), relative, probability / probability.sum())


def discs_on_path(arc: np.ndarray, coordinate: np.ndarray) -> dict[int, float]:
    """Find where a path passes discs.

    Parameters
    ----------
    arc, coordinate : numpy.ndarray, shape (N,)
        Growing.

    Returns
    -------
    dict of int to float
        Arc length in mm by value, of the discs between the ends of the path.
    """
    rising = np.maximum.accumulate(coordinate + 1e-9 * np.arange(len(coordinate)))
    values = np.arange(int(np.ceil(rising[0])), int(np.floor(rising[-1])) + 1)
    return {int(value): float(np.interp(value, rising, arc)) for value in values if value >= 1}


def all_discs(arc: np.ndarray, coordinate: np.ndarray) -> dict[int, float]:
    """Continue the discs of a path by usual vertebrae, from the top of C1 to the disc below T1's roots."""
    wanted = range(1, LAST_NAMED + 2)
    discs = discs_on_path(arc, coordinate)
    pace = (coordinate[-1] - coordinate[0]) / max(arc[-1] - arc[0], 1e-6)
    middle = float(np.clip(coordinate[len(coordinate) // 2], 0, len(USUAL_LENGTH_MM) - 1))
    scale = float(np.clip(1 / max(pace, 1e-6) / USUAL_LENGTH_MM[int(middle)], 0.75, 1.25))
    lengths = np.array(USUAL_LENGTH_MM)
    usual = scale * np.concatenate([[0], np.cumsum(lengths)])  # of disc n, from disc 0
    top = float(np.interp(coordinate[0], np.arange(len(usual)), usual))
    bottom = float(np.interp(coordinate[-1], np.arange(len(usual)), usual))
    for value in wanted:
        if value not in discs:
            above = value < coordinate[0]
            discs[value] = float(arc[0] + usual[value] - top if above else arc[-1] + usual[value] - bottom)
    return dict(sorted(discs.items()))


def expected_names(arc: np.ndarray, discs: Mapping[int, float]) -> np.ndarray:
    """Name each place by the spinal level that usually lies there against the vertebrae.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
    discs : mapping of int to float
        Arc length of the discs from the top of C1 to T1/T2 and one below, by value (`all_discs`).

    Returns
    -------
    numpy.ndarray of int, shape (N,)
        `ABOVE_C2`, 2 for C2 … 9 for T1, or `BELOW_T1`.
    """
    middles = spinal_middles(dict(discs))
    at = [middles[value] for value in range(FIRST_NAMED, LAST_NAMED + 1)]
    pitch_first, pitch_last = at[1] - at[0], at[-1] - at[-2]
    borders = [at[0] - pitch_first / 2, *((a + b) / 2 for a, b in pairwise(at)), at[-1] + pitch_last / 2]
    return np.clip(np.searchsorted(borders, arc) + ABOVE_C2, ABOVE_C2, BELOW_T1)


def evidence_of_names(
    arc: np.ndarray, log_probability: np.ndarray, weight: np.ndarray, paths: Sequence[VertebralPath]
) -> np.ndarray:
    """Compute how well names along the cord agree with each numbering.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        Places along the cord, 1 mm apart.
    log_probability : numpy.ndarray, shape (N, N_NAMES)
        Logarithm of the probability of each name at each place.
    weight : numpy.ndarray, shape (N,)
        How much each place counts, 0 to 1.
    paths : sequence of VertebralPath
        At the same places.

    Returns
    -------
    numpy.ndarray, shape (P,)
    """
    rows = np.arange(len(arc))
    logs = np.maximum(log_probability, np.log(MIN_NAME_PROBABILITY))
    result = []
    for path in paths:
        names = expected_names(arc, all_discs(arc, path.coordinate))
        result.append(float((weight * logs[rows, names]).sum()) / INDEPENDENCE_MM)
    return np.array(result)


def find_discs(arc: np.ndarray, path: VertebralPath, given: Mapping[int, Disc]) -> tuple[Disc, ...]:
    """Find the discs in view, from C1/C2 to T3/T4; those that are given stay where they are.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        Places of the path along the cord.
    path : VertebralPath
    given : mapping of int to Disc

    Returns
    -------
    tuple of Disc
        From rostral to caudal.
    """
    found = dict(given)
    pace = np.maximum(np.gradient(path.coordinate, arc), 1e-3)
    for value, at in discs_on_path(arc, path.coordinate).items():
        if value not in given and FIRST_DISC <= value <= LAST_FOUND_DISC:
            sd_mm = float(np.interp(at, arc, path.sd / pace))
            found[value] = Disc(value, at, float(np.hypot(sd_mm, MIN_DISC_SD_MM)), "image")
    return tuple(found[value] for value in sorted(found))
