"""Accuracy and speed of `sct_rootlets group`, in three tables.

    python benchmarks/group.py phantoms      # measured against true medians over a cohort of phantoms
    python benchmarks/group.py coverage      # how often confidence intervals cover the truth
    python benchmarks/group.py speed         # the command on 500 level tables, from a cold interpreter

Simulated differences are those of the published shifted pairs (0.00 to 8.15 mm), plus a deviation of each subject that
all its pairs share, and a deviation of each pair.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from sct_rootlets.bids import LABEL_NAMES, TABLE_ENDING
from sct_rootlets.correspondence import BIAS_MM, published_bias
from sct_rootlets.deepseg import compute_spinal_levels
from sct_rootlets.group.bootstrap import LIMIT_SDS, PERCENTILES, STATISTICS, limits_of_agreement
from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.levels import level_name, level_value
from sct_rootlets.output.files import write_table
from sct_rootlets.output.levels import save_levels
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.cervical import COHORT_DISTANCE_MM, cohort_anatomy

SHIFTED = list(published_bias())
#: Standard deviations of the deviations that the pairs of a subject share, and of those of each pair.
SHARED_SD_MM, OWN_SD_MM = 1.8, 1.2


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("phantoms", "coverage", "speed"))
    parser.add_argument("-n", type=int, help="subjects (default: 60 phantoms, 500 tables), or simulated tables (1000)")
    arguments = parser.parse_args()
    if arguments.what == "phantoms":
        phantoms(arguments.n or 60)
    elif arguments.what == "coverage":
        coverage(arguments.n or 1000)
    else:
        speed(arguments.n or 500)


def true_differences(anatomy: Anatomy) -> dict[tuple[str, str], float]:
    """Compute vertebral minus spinal midpoint of the shifted pairs of an anatomy, by the method ``extent``."""
    extents = anatomy.spinal_extents(COHORT_DISTANCE_MM)
    result = {}
    for upper, lower in SHIFTED:
        value = level_value(upper, "vertebral")
        result[upper, lower] = (anatomy.discs[value] + anatomy.discs[value + 1]) / 2 - float(np.mean(extents[lower]))
    return result


def phantoms(n_subjects: int, voxel_mm: float = 1.0, seed: int = 0) -> list[dict[str, float]]:
    """Draw phantoms, find their levels, group them, and compare the medians with those of the true anatomies."""
    rng = np.random.default_rng(seed)
    truth = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(n_subjects):
            anatomy, _ = cohort_anatomy(rng)
            truth.append(true_differences(anatomy))
            grid = phantom_grid(anatomy, (voxel_mm,) * 3, "PSR", margin_mm=14)
            drawn = draw_phantom(anatomy, *grid, seed=number)
            labels = {"cord": drawn.cord, "discs": drawn.discs, "pmj": drawn.pmj}
            subject = compute_spinal_levels(drawn.rootlets, **labels, method="extent")
            save_levels(subject, Path(name) / f"sub-{number:03d}", prefix=f"sub-{number:03d}_T2w", figure=False)
        table = compare(collect([name])).agreement
    rows = []
    print(f"{n_subjects} phantoms of {voxel_mm:g} mm voxels\n")
    print("| vertebra, spinal | planted | median of the anatomies | measured median | error | 95 % interval |")
    print("|" + "---|" * 6)
    for (upper, lower), planted in zip(SHIFTED, BIAS_MM, strict=True):
        of_pair = (table.pairing == "shifted") & (table.vertebral_level == upper) & (table.spinal_level == lower)
        row = table[of_pair].iloc[0]
        true = float(np.median([differences[upper, lower] for differences in truth]))
        rows.append({"planted": planted, "true": true, "measured": row.median_mm, "n": row.n})
        print(
            f"| {upper}, {lower} | {planted:.2f} | {true:.2f} | {row.median_mm:.2f} | {row.median_mm - true:+.2f} "
            f"| {row.median_low:.2f} to {row.median_high:.2f} |"
        )
    return rows


class Population:
    """Differences of the shifted pairs over all people, with deviations of one shape.

    Parameters
    ----------
    shape : str
        Name of the shape.
    standard : scipy.stats distribution
        Distribution of deviations, which is scaled to mean 0 and standard deviation 1. If it is not normal, the pairs
        of a subject are independent: a sum of two deviations would have another shape.
    """

    def __init__(self, shape: str, standard: object) -> None:
        self.shape, self.standard = shape, standard
        self.bias, self.sd = np.array(BIAS_MM), float(np.hypot(SHARED_SD_MM, OWN_SD_MM))

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draw differences of n subjects, shape (n, pairs)."""
        if self.shape == "normal":
            own = OWN_SD_MM * rng.standard_normal((n, len(self.bias)))
            return self.bias + SHARED_SD_MM * rng.standard_normal((n, 1)) + own
        drawn = self.standard.rvs(size=(n, len(self.bias)), random_state=rng)
        return self.bias + self.sd * (drawn - self.standard.mean()) / self.standard.std()

    def truth(self, bias: np.ndarray) -> list[float]:
        """Compute `STATISTICS` of the differences of pairs with the given biases, over all people."""

        def share_below(value: float) -> float:
            standardized = (value - bias) / self.sd * self.standard.std() + self.standard.mean()
            return float(self.standard.cdf(standardized).mean())

        quantiles = [brentq(lambda value, p=p: share_below(value) - p / 100, -60, 60) for p in (50, *PERCENTILES)]
        half = LIMIT_SDS * float(np.hypot(bias.std(), self.sd))
        return [*quantiles, bias.mean(), bias.mean() - half, bias.mean() + half]


class WrongNames(Population):
    """Normal differences, of which a share is displaced by about a level: levels or discs with wrong names."""

    SHARE, DISPLACEMENT_MM = 0.04, 12.0

    def __init__(self) -> None:
        super().__init__("normal", stats.norm())
        self.shape = f"{self.SHARE:.0%} displaced by {self.DISPLACEMENT_MM:g} mm"

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Differences of n subjects, shape (n, pairs); each pair is displaced independently of all others."""
        shared, own = SHARED_SD_MM * rng.standard_normal((n, 1)), OWN_SD_MM * rng.standard_normal((n, len(self.bias)))
        return self.bias + shared + own + self.DISPLACEMENT_MM * (rng.random((n, len(self.bias))) < self.SHARE)

    def truth(self, bias: np.ndarray) -> list[float]:
        """`STATISTICS` of the differences of some pairs, in all people, the displaced ones among them."""

        def below(at: float) -> float:
            named = stats.norm.cdf((at - bias) / self.sd).mean()
            displaced = stats.norm.cdf((at - bias - self.DISPLACEMENT_MM) / self.sd).mean()
            return float((1 - self.SHARE) * named + self.SHARE * displaced)

        quantiles = [brentq(lambda at, p=p: below(at) - p / 100, -60, 60) for p in (50, *PERCENTILES)]
        mean = bias.mean() + self.SHARE * self.DISPLACEMENT_MM
        of_names = np.sqrt(self.SHARE * (1 - self.SHARE)) * self.DISPLACEMENT_MM
        half = LIMIT_SDS * float(np.sqrt(bias.std() ** 2 + self.sd**2 + of_names**2))
        return [*quantiles, mean, mean - half, mean + half]


def coverage(n_tables: int, n_resamples: int = 500) -> None:
    """Print the share of simulated tables whose 95 % intervals cover the truth, of a single pair and of all pairs."""
    print(f"{n_tables} simulated tables, {n_resamples} resamples; share of 95 % intervals that cover the truth, in %\n")
    print("| differences | subjects | pairs | " + " | ".join(STATISTICS) + " |\n" + "|---" * 9 + "|")
    shapes = {"normal": stats.norm(), "heavy tails (t, 6 df)": stats.t(6), "skewed (gamma, shape 8)": stats.gamma(8)}
    populations = [*(Population(shape, standard) for shape, standard in shapes.items()), WrongNames()]
    for population in populations:
        for n in (10, 20, 50, 200):
            single, pooled = covered(population, n, n_tables, n_resamples)
            for what, hits in (("one", single), ("all", pooled)):
                cells = " | ".join(f"{100 * share:.1f}" for share in hits)
                print(f"| {population.shape} | {n} | {what} | {cells} |", flush=True)


def covered(population: Population, n: int, n_tables: int, n_resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the share of tables of n subjects whose intervals cover the truth: of the last pair, and of all."""
    rng = np.random.default_rng(n)
    parts = (slice(-1, None), slice(None))
    truths = [population.truth(population.bias[part]) for part in parts]
    hits = np.zeros((2, len(STATISTICS)))
    for table in range(n_tables):
        drawn = population.draw(rng, n)
        for row, (part, truth) in enumerate(zip(parts, truths, strict=True)):
            intervals = limits_of_agreement(drawn[:, part], n_resamples, seed=table).intervals
            ends = [intervals[name] for name in STATISTICS]
            hits[row] += [low <= value <= high for value, (low, high) in zip(truth, ends, strict=True)]
    return hits[0] / n_tables, hits[1] / n_tables


def write_tables(folder: Path, n_subjects: int, seed: int = 0) -> None:
    """Write level tables of simulated subjects in the format of sct_compute_spinal_levels, and a participants.tsv."""
    population, rng = Population("normal", stats.norm()), np.random.default_rng(seed)
    differences = population.draw(rng, n_subjects)
    people = ["participant_id\tage\tsex\theight"]
    for number in range(n_subjects):
        subject = f"sub-{number + 1:04d}"
        size = rng.normal(1, 0.05)
        discs = 20 + size * np.concatenate([[0], np.cumsum((14, 14, 15.5, 17, 17, 16, 16, 17, 20))])
        ends = [("vertebral", value, discs[value - 1], discs[value]) for value in range(1, len(discs))]
        for (upper, lower), difference in zip(SHIFTED, differences[number], strict=True):
            bone, half = level_value(upper, "vertebral"), rng.normal(6, 0.6)
            middle = (discs[bone - 1] + discs[bone]) / 2 - difference
            ends.append(("spinal", level_value(lower, "spinal"), middle - half, middle + half))
        rows = [
            {
                "level": value,
                "name": level_name(value, kind),
                "kind": kind,
                "method": "extent" if kind == "spinal" else "discs",
                "rostral_mm": rostral,
                "caudal_mm": caudal,
                "midpoint_mm": (rostral + caudal) / 2,
                "length_mm": caudal - rostral,
                "reference": "PMJ",
                "complete": True,
            }
            for kind, value, rostral, caudal in ends
        ]
        (folder / subject).mkdir(parents=True)
        write_table(folder / subject / f"{subject}_T2w{TABLE_ENDING}", tuple(rows[0]), rows)
        sidecar = folder / subject / f"{subject}_T2w_label-{LABEL_NAMES['spinal']}_dseg.json"
        sidecar.write_text(json.dumps({"NamesFromDiscs": False}), encoding="utf-8")
        people.append(f"{subject}\t{rng.integers(20, 60)}\tF\t{172 * size:.1f}")
    (folder / "participants.tsv").write_text("\n".join(people) + "\n", encoding="utf-8")


def speed(n_subjects: int, runs: int = 3) -> None:
    """Print the time of the command as a whole process."""
    with tempfile.TemporaryDirectory() as name:
        write_tables(Path(name) / "levels", n_subjects)
        command = [sys.executable, "-m", "sct_rootlets.cli.main", "group", "-i", f"{name}/levels", "-v", "0"]
        print(f"{os.cpu_count()} cores, {n_subjects} level tables, the best of {runs} runs\n")
        print("| command | seconds |\n|---|---|")
        for title, more in (("with figures", []), ("no figures", ["-figure", "0"]), ("-h", ["-h"])):
            seconds = min(timed([*command, "-ofolder", f"{name}/out", *more]) for _ in range(runs))
            print(f"| sct_rootlets group, {title} | {seconds:.2f} |", flush=True)


def timed(command: list[str]) -> float:
    """Measure the wall time of a command in seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
