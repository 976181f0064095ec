"""How well vertebrae are numbered and levels named in windows of real scans; whether stated probabilities come true.

    python benchmarks/numbering.py -data DIR -folds A=errsm11,errsm18 B=errsm20,errsm21 C=errsm23,errsm24

DIR holds the scans (``errsm``, ``errsm2``; by default the folder that SCT_ROOTLETS_DATA names). A, B and C are folders
with models (``-bundle`` of `benchmarks/segmentation.py`) whose network of names has not seen the people behind the
equals sign. The weights of the kinds of evidence are fitted to the other people's windows. (With -synthetic N, windows
of N synthetic scans of the training population in each contrast count as much, all together.) Windows are 130 mm
long (every 10 mm), 90 and 60 mm (every 15 mm), and whole scans. A name is right if the middle of the level lies within
half a vertebra of where PAM50 has that level against the disc labels; a level in view that is not named counts as not
right.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from scipy.optimize import minimize
from segmentation import CONTRASTS, whole_neck

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.cord_profile import measure_moments
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume, superior_axis
from sct_rootlets.levels import Level
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation import numbering
from sct_rootlets.segmentation.cord import find_cord
from sct_rootlets.segmentation.evidence import (
    cell_centers,
    evidence_from_rootlets,
    root_presence,
    rootlets_near_cord,
)
from sct_rootlets.segmentation.load import load_segmenter
from sct_rootlets.segmentation.numbering import Numbering, combine, discs_on_path
from sct_rootlets.segmentation.prediction import clean_cord, predict_rootlets
from sct_rootlets.segmentation.segment import Segmenter, divide_cord, number_vertebrae
from sct_rootlets.segmentation.straight import predict_spine
from sct_rootlets.vertebral import label_points

#: Length and distance of windows in mm.
WINDOWS_MM = ((130.0, 10.0), (90.0, 15.0), (60.0, 15.0))
#: Vertebral coordinate of the middle and of the ends of the rootlets of C2 to T1 in PAM50, against its discs.
PAM50_MIDDLES = dict(zip(range(2, 10), (1.45, 2.52, 3.48, 4.32, 5.24, 6.26, 7.26, 8.22), strict=True))
PAM50_ENDS = dict(
    zip(
        range(2, 10),
        ((1.23, 1.66), (2.03, 3.0), (3.19, 3.76), (4.08, 4.57), (4.97, 5.52), (5.90, 6.61), (6.88, 7.65), (7.93, 8.51)),
        strict=True,
    )
)


@dataclass
class Window:
    """A part of a scan, what the networks see in it, and the truth."""

    scan: str
    length: str
    presence: np.ndarray
    numbering: Numbering
    discs: dict[int, float]
    coordinate: np.ndarray

    @property
    def visible(self) -> list[int]:
        """Levels that lie in view, by PAM50."""
        first, last = self.coordinate[0], self.coordinate[-1]
        return [value for value, (upper, lower) in PAM50_ENDS.items() if first <= upper and lower <= last]

    @cached_property
    def true_path(self) -> int:
        """Index of the path that agrees best with the disc labels."""
        off = [np.median(np.abs(path.coordinate - self.coordinate)) for path in self.numbering.paths]
        return int(np.argmin(off))


def read_scan(data: Path, name: str) -> tuple[Volume, dict[int, np.ndarray]]:
    """Image and discs of a scan."""
    for folder in ("errsm", "errsm2"):
        image = data / folder / f"sub-{name}" / "anat" / f"sub-{name}_T2w.nii.gz"
        if image.exists():
            labels = data / folder / "derivatives" / "labels" / f"sub-{name}" / "anat"
            return load_volume(image), label_points(load_volume(labels / f"sub-{name}_T2w_label-discs_dlabel.nii.gz"))
    raise SystemExit(f"{name} is not in {data}")


def parts(image: Volume) -> list[tuple[str, Volume]]:
    """The whole scan and its windows."""
    axis, _ = superior_axis(image.affine)
    n, mm = image.data.shape[axis], image.spacing[axis]
    found = [("whole", image)]
    for length, step in WINDOWS_MM:
        size = round(length / mm)
        for start in range(0, n - size + 1, round(step / mm)):
            box = [slice(None)] * 3
            box[axis] = slice(start, start + size)
            affine = image.affine.copy()
            affine[:3, 3] = apply_affine(affine, np.eye(3)[axis] * start)
            found.append((f"{length:.0f}", replace(image, data=image.data[tuple(box)], affine=affine)))
    return found


def synthetic_scans(number: int) -> Iterator[tuple[str, Volume, dict[int, np.ndarray]]]:
    """Draw scans of the population that networks learned from, and their discs; none of them was learned from."""
    from sct_rootlets.synthesis.random_anatomy import random_anatomy

    for subject in range(number):
        for contrast in CONTRASTS:
            rng = np.random.default_rng((2027, subject, CONTRASTS.index(contrast)))
            anatomy = random_anatomy(rng)
            image, *_ = whole_neck(anatomy, contrast, float(rng.uniform(0.7, 1.0)), rng, f"synthetic_{contrast}")
            places = anatomy.centerline.position(np.array(list(anatomy.discs.values())))
            yield image.name, image, dict(zip(anatomy.discs, places, strict=True))


def look_at(segmenter: Segmenter, image: Volume, discs: Mapping[int, np.ndarray], scan: str, length: str) -> Window:
    """Run the networks on a part of a scan."""
    coarse = find_cord(segmenter.overview, image)
    prediction = predict_rootlets(image, segmenter.rootlets, coarse.centerline)
    cord = clean_cord(prediction, coarse.centerline)
    line = fit_centerline(cord, prediction.affine)
    near = rootlets_near_cord(prediction, cord, line)
    cells, presence = cell_centers(near.n_cells), root_presence(prediction, near)
    along = coarse.centerline.project(line.position(cells)).arc
    spine = predict_spine(segmenter.names, coarse.data, coarse.affine, coarse.centerline)
    moments = measure_moments(cord, prediction.affine, line, near.n_cells)
    names = evidence_from_rootlets(prediction, near).log_probability
    at = {value: float(line.project(point).arc[0]) for value, point in discs.items()}
    return Window(
        scan=scan,
        length=length,
        presence=presence,
        numbering=number_vertebrae(cells, along, spine, moments, (names, presence)),
        discs=at,
        coordinate=true_coordinate(cells, at),
    )


def true_coordinate(cells: np.ndarray, discs: Mapping[int, float]) -> np.ndarray:
    """Vertebral coordinate by the disc labels, continued beyond them as they end."""
    values = np.array(sorted(discs), dtype=float)
    at = np.array([discs[int(value)] for value in values])
    coordinate = np.interp(cells, at, values)
    coordinate = np.where(cells < at[0], values[0] - (at[0] - cells) / (at[1] - at[0]), coordinate)
    return np.where(cells > at[-1], values[-1] + (cells - at[-1]) / (at[-1] - at[-2]), coordinate)


def fit_weights(windows: Sequence[Window], others: Sequence[Window] = ()) -> dict[str, float]:
    """Fit the weight of each kind of evidence, so that the right numbering of both kinds of windows is probable."""
    kinds = list(numbering.WEIGHTS)

    def mean_loss(part: Sequence[Window], values: np.ndarray) -> float:
        total = 0.0
        for window in part:
            evidence = window.numbering.evidence
            score = sum(
                weight * np.maximum(evidence[kind], -numbering.LIMIT)
                for kind, weight in zip(kinds, values, strict=True)
            )
            total -= score[window.true_path] - np.logaddexp.reduce(score)
        return total / len(part)

    def loss(values: np.ndarray) -> float:
        parts = [part for part in (windows, others) if part]
        return float(np.mean([mean_loss(part, values) for part in parts])) + 0.02 * float((values**2).sum())

    fitted = minimize(loss, np.full(len(kinds), 0.3), method="L-BFGS-B", bounds=[(0, 2)] * len(kinds))
    return dict(zip(kinds, fitted.x.tolist(), strict=True))


def judge(window: Window, weights: Mapping[str, float]) -> tuple[list[tuple[bool, float | None]], list[float]]:
    """Whether each visible level is right, with its confidence; and by how much discs are off, in mm."""
    usual = dict(numbering.WEIGHTS)
    numbering.WEIGHTS.update(weights)
    chosen = combine(window.numbering.paths, window.numbering.evidence)
    numbering.WEIGHTS.update(usual)
    cells = cell_centers(len(window.presence))
    levels: dict[int, Level] = {level.value: level for level in divide_cord(window.presence, cells, chosen).levels}
    judged: list[tuple[bool, float | None]] = []
    for value in window.visible:
        if value not in levels:
            judged.append((False, None))
            continue
        place = float(np.interp(levels[value].midpoint_mm, cells, window.coordinate))
        judged.append((abs(place - PAM50_MIDDLES[value]) < 0.5, levels[value].confidence))
    found = discs_on_path(cells, chosen.paths[chosen.best].coordinate)
    margin = 2.0
    inside = {value: at for value, at in window.discs.items() if margin < at < len(cells) - margin and 3 <= value <= 9}
    off = [min(abs(place - at) for place in found.values()) if found else np.nan for at in inside.values()]
    return judged, off


def row(*cells: object) -> None:
    """Print a row of a table in Markdown."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-data", type=Path, default=os.environ.get("SCT_ROOTLETS_DATA"))
    parser.add_argument("-folds", nargs="+", required=True, metavar="FOLDER=scan,scan")
    parser.add_argument(
        "-synthetic",
        type=int,
        default=0,
        metavar="N",
        help="synthetic scans a contrast that take part in the fit of weights",
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give the folder with real scans: -data DIR, or SCT_ROOTLETS_DATA")
    windows: list[Window] = []
    failed = 0
    for fold in arguments.folds:
        folder, names = fold.split("=")
        segmenter = load_segmenter(bundle=Path(folder))
        for name in names.split(","):
            image, discs = read_scan(Path(arguments.data), name)
            for length, part in parts(image):
                try:
                    windows.append(look_at(segmenter, part, discs, name, length))
                except SctRootletsError:
                    failed += 1
    synthetic: list[Window] = []
    for name, image, discs in synthetic_scans(arguments.synthetic):
        for length, part in parts(image):
            with contextlib.suppress(SctRootletsError):
                synthetic.append(look_at(segmenter, part, discs, name, length))
    synthetic = [window for window in synthetic if window.visible]
    windows = [window for window in windows if window.visible]
    scans = sorted({window.scan for window in windows})
    weights = {scan: fit_weights([window for window in windows if window.scan != scan], synthetic) for scan in scans}
    results = [(window, *judge(window, weights[window.scan])) for window in windows]
    everyone = fit_weights(windows, synthetic)
    print(f"{len(windows)} windows with levels in view; no cord in {failed}; {len(synthetic)} synthetic windows")
    print("weights:", ", ".join(f"{kind} {weight:.2f}" for kind, weight in everyone.items()), "\n")
    row(
        "window (mm)",
        "levels in view",
        "names right",
        "at confidence ≥ 0.9",
        "of these right",
        "discs off (mm)",
        *scans,
    )
    row(*["---"] * (6 + len(scans)))
    lengths = ("whole", *(f"{length:.0f}" for length, _ in WINDOWS_MM))
    for length in lengths:
        part = [result for result in results if result[0].length == length]
        judged = [one for _, levels, _ in part for one in levels]
        sure = [right for right, confidence in judged if confidence is not None and confidence >= 0.9]
        off = np.array([mm for *_, discs in part for mm in discs])
        people = []
        for scan in scans:
            own = [right for window, levels, _ in part if window.scan == scan for right, _ in levels]
            people.append(f"{sum(own)}/{len(own)}")
        row(
            length,
            len(judged),
            f"{100 * np.mean([right for right, _ in judged]):.1f} %",
            f"{100 * len(sure) / len(judged):.1f} %",
            f"{100 * np.mean(sure):.1f} %" if sure else "-",
            f"median {np.nanmedian(off):.1f}, 95 % {np.nanpercentile(off, 95):.1f}",
            *people,
        )
    print()
    named = [one for _, levels, _ in results for one in levels if one[1] is not None]
    row("stated confidence", "names", "mean", "right")
    row(*["---"] * 4)
    error = 0.0
    for low in np.arange(10) / 10:
        inside = [(right, c) for right, c in named if low <= c < low + 0.1 or (low > 0.85 and c >= 1)]
        if inside:
            mean, right = np.mean([c for _, c in inside]), np.mean([r for r, _ in inside])
            error += len(inside) / len(named) * abs(mean - right)
            row(f"{low:.1f}-{low + 0.1:.1f}", len(inside), f"{mean:.2f}", f"{right:.2f}")
    print(f"\nexpected calibration error {error:.3f}")


if __name__ == "__main__":
    main()
