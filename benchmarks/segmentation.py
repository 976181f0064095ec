"""How well images are segmented, and level names chosen: on held-out synthetic scans, and on real ones.

    python benchmarks/segmentation.py synthetic -subjects 20
    python benchmarks/segmentation.py synthetic -population realistic -contrasts T2w_3D,INV1,UNIT1,INV2
    python benchmarks/segmentation.py real -data DIR
    python benchmarks/segmentation.py crop -data DIR
    python benchmarks/segmentation.py others -data DIR
    python benchmarks/segmentation.py cords -data DIR
    python benchmarks/segmentation.py slices -data DIR
    python benchmarks/segmentation.py repeat
    python benchmarks/segmentation.py worst -contrasts T2w -o docs/worst.png

Each prints a table in Markdown, or draws the scan with the lowest level-wise Dice. DIR holds the real scans (``errsm``,
``sct_testing_data``; by default the folder that SCT_ROOTLETS_DATA names). ``-bundle`` and ``-scans`` take other weights
and some of the four scans: models that were trained without those scans (see the model card). Dice on synthetic scans
compares with synthetic truth: it says nothing about people.
"""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.correspondence import BIAS_MM
from sct_rootlets.deepseg import compute_spinal_levels
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume, as_axial
from sct_rootlets.levels import level_color, level_name
from sct_rootlets.models.manifest import BUNDLED_FOLDER
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.contrast import compare_fluid_with_cord
from sct_rootlets.segmentation.load import load_segmenter
from sct_rootlets.segmentation.segment import Segmentation, Segmenter
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.vertebral import label_points

#: The seed of a synthetic scan holds the place of its contrast in this order.
CONTRASTS = ("INV1", "T2w", "UNIT1", "INV2", "T2w_3D", "T2starw")
#: Contrasts of each population by default.
POPULATIONS = {"held-out": CONTRASTS[:4], "realistic": ("INV1", "T2w_3D", "UNIT1", "INV2")}
ERRSM = ("errsm11", "errsm18", "errsm21", "errsm23")
#: Vertebral minus spinal midpoint that is expected, by the level of the spinal one.
EXPECTED_MM = dict(zip(range(3, 10), BIAS_MM, strict=True))
#: Heights of discs in mm (scanner z, posterior edge) that were read by eye on the mid-sagittal plane, without a look at
#: any result: the first disc is C2/C3, as the dens fills the view above it.
READ_BY_EYE = {
    "sub-9709Ses1_run-1_T2starw.nii.gz": {3: 49, 4: 34, 5: 17},
    "sub-9709Ses2_run-1_T2starw.nii.gz": {3: 49, 4: 33, 5: 17},
    "sub-10062Ses1_run-1_T2starw.nii.gz": {3: 1, 4: -16},
    "sub-10062Ses2_run-1_T2starw.nii.gz": {3: 1, 4: -17},
    "sub-9584_run-1_T2starw.nii.gz": {3: 56, 4: 37},
}
#: Axial slices (third voxel index) of the T2*w scans on which the eye sees rootlets beside the cord, and those on which
#: it sees none, read twice without a look at any result: once slice by slice, once in random order and without names.
#: Slices that one reading left open are in neither list.
READ_SLICES = {
    "sub-10062Ses1_run-1_T2starw.nii.gz": ((10, 11, 12, 13, 18, 19), (4, 5, 9)),
    "sub-10062Ses2_run-1_T2starw.nii.gz": ((2, 5, 8, 9, 10, 11, 14, 16, 17, 18, 19), ()),
    "sub-9584_run-1_T2starw.nii.gz": ((0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14), ()),
    "sub-9709Ses1_run-1_T2starw.nii.gz": ((10, 11, 12, 13, 14, 18, 19), (0, 4, 5, 6)),
    "sub-9709Ses2_run-1_T2starw.nii.gz": ((10, 11, 12, 14, 16, 17), (0, 1, 3, 4, 5, 6, 8, 9)),
}
#: Confidence from which on a name is sure.
SURE = 0.9
#: Rootlets and their surroundings are averaged with Gaussians of these standard deviations to find their contrast.
ROOTLET_MM, SURROUNDINGS_MM = 0.7, 2.0
#: Half the width of a picture's cut, and the size of its pixels.
HALF_MM, PIXEL_MM = 14.0, 0.35


def row(*cells: object) -> None:
    """Print a row of a table in Markdown."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def header(*titles: str) -> None:
    """Print the head of a table."""
    row(*titles)
    row(*["---"] * len(titles))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks; 1 if both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def area_ratio(found: Volume, truth: Volume) -> float:
    """Area of a cord mask over that of another, over the axial slices that both show."""
    areas = [(as_axial(mask).data > 0).sum(axis=(0, 1)) for mask in (found, truth)]
    both = np.all(areas, axis=0)
    return float(areas[0][both].sum() / areas[1][both].sum())


def visible_rootlets(image: Volume, rootlets: Volume, cord: Volume) -> np.ndarray:
    """Voxels of rootlets whose contrast to their surroundings, without the cord, is above the noise; shape (I, J, K).

    Noise is the standard deviation within the cord, from differences between neighbouring voxels.
    """
    inside, labelled = cord.data > 0, rootlets.data > 0
    both = inside[1:] & inside[:-1]
    steps = np.diff(image.data.astype(np.float32), axis=0)[both]
    noise = 1.4826 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2)

    def local_mean(mask: np.ndarray, size_mm: float) -> np.ndarray:
        size = size_mm / image.spacing
        total = ndimage.gaussian_filter(np.where(mask, image.data, 0).astype(np.float32), size)
        return total / np.maximum(ndimage.gaussian_filter(mask.astype(np.float32), size), 1e-6)

    contrast = local_mean(labelled, ROOTLET_MM) - local_mean(~labelled & ~inside, SURROUNDINGS_MM)
    return labelled & (np.abs(contrast) > noise)


def middles(segmentation: Segmentation) -> dict[int, float]:
    """Middle of each level in mm of arc length."""
    return {one.value: (one.rostral_mm + one.caudal_mm) / 2 for one in segmentation.spinal.levels}


def synthetic_scan(
    contrast: str, subject: int, noise: int = 0, population: str = "held-out"
) -> tuple[Volume, Volume, Volume]:
    """Image, rootlets and cord of a subject of a held-out population; the same for the same numbers.

    ``realistic`` differs from ``held-out``: its cords are as thick along the vertebrae as those of healthy adults, and
    its T2w scans (``T2w_3D``) have fluid as bright as that of people.
    """
    from sct_rootlets.synthesis.random_anatomy import HELD_OUT_RANGES, REALISTIC_RANGES, random_anatomy

    seed = {"held-out": 2026, "realistic": 2027}[population]
    rng = np.random.default_rng((seed, subject))
    ranges = HELD_OUT_RANGES if population == "held-out" else REALISTIC_RANGES
    anatomy = random_anatomy(rng, ranges)
    spacing = float(rng.uniform(0.7, 1.0))
    rng = np.random.default_rng((seed, subject, CONTRASTS.index(contrast), noise))
    return whole_neck(anatomy, contrast, spacing, rng, f"synthetic{subject:02d}_{contrast}")


def whole_neck(
    anatomy: Anatomy, contrast: str, spacing_mm: float, rng: np.random.Generator, name: str
) -> tuple[Volume, Volume, Volume]:
    """Image, rootlets and cord of an anatomy, from above C1 to below T3."""
    from sct_rootlets.synthesis.synthesis import synthesize

    spacing = np.full(3, spacing_mm)
    middle = (anatomy.discs[1] + anatomy.discs[10]) / 2
    points = anatomy.centerline.position(np.arange(anatomy.discs[1] - 10, anatomy.discs[10] + 5))
    size = np.array([50.0, np.ptp(points[:, 1]) + 60, np.ptp(points[:, 2])])
    centre = np.array([anatomy.centerline.position(middle)[0][0], *((points.max(0) + points.min(0)) / 2)[1:]])
    shape = tuple(int(n) for n in np.round(size / spacing))
    scan = synthesize(anatomy, contrast, shape, tuple(spacing), tuple(centre), rng)  # type: ignore[arg-type]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - spacing * (np.array(shape) - 1) / 2
    return tuple(  # type: ignore[return-value]
        Volume(volume.numpy(), affine, name) for volume in (scan.image, scan.levels, scan.cord)
    )


@dataclass
class Score:
    """Agreement of a segmentation with one synthetic scan."""

    dice: list[float]
    visible_dice: list[float]
    visible: float
    binary: float
    cord: float
    area: float
    right: int
    wrong: int
    sure: int
    sure_and_right: int
    missed: int
    off_mm: list[float]


def score(found: Segmentation, image: Volume, rootlets: Volume, cord: Volume) -> Score:
    """Compare a segmentation with the truth; levels that the field of view cuts are left out of names."""
    visible = visible_rootlets(image, rootlets, cord)
    hidden = (rootlets.data > 0) & ~visible
    values = [int(v) for v in np.unique(rootlets.data) if v]
    truth = {}
    for value in values:
        points = apply_affine(rootlets.affine, np.argwhere(rootlets.data == value))
        arc = found.centerline.project(points).arc
        truth[value] = float(np.mean(arc))
    area = area_ratio(Volume(found.cord, cord.affine, cord.name), cord)
    share = float(visible.sum() / max(1, np.count_nonzero(rootlets.data)))
    result = Score([], [], share, 0, dice(found.cord, cord.data > 0), area, 0, 0, 0, 0, 0, [])
    confidence = {level.value: level.confidence or 0.0 for level in found.spinal.levels}
    result.dice = [dice(found.rootlets == value, rootlets.data == value) for value in values]
    seen_values = [value for value in values if (visible & (rootlets.data == value)).any()]
    result.visible_dice = [
        dice((found.rootlets == value) & ~hidden, visible & (rootlets.data == value)) for value in seen_values
    ]
    result.binary = dice(found.rootlets > 0, rootlets.data > 0)
    seen = set()
    for value in np.unique(found.rootlets[found.rootlets > 0]):
        points = apply_affine(rootlets.affine, np.argwhere(found.rootlets == value))
        middle = float(np.mean(found.centerline.project(points).arc))
        nearest = min(truth, key=lambda one: abs(truth[one] - middle))
        seen.add(nearest)
        is_sure = confidence.get(int(value), 0.0) >= SURE
        result.sure += is_sure
        result.sure_and_right += is_sure and nearest == value
        if nearest == value:
            result.right += 1
            result.off_mm.append(middle - truth[value])
        else:
            result.wrong += 1
    result.missed = len(set(values) - seen)
    return result


def synthetic(segmenter: Segmenter, subjects: int, contrasts: tuple[str, ...], population: str) -> None:
    """Table of scores on held-out synthetic scans."""
    print(f"{subjects} synthetic subjects of the population {population}\n")
    header(
        "contrast",
        "level-wise Dice",
        "of visible voxels",
        "visible",
        "binary Dice",
        "cord Dice",
        "cord area",
        "names right",
        f"at confidence ≥ {SURE}",
        "of these right",
        "levels missed",
        "middles off (mm)",
    )
    for contrast in contrasts:
        scores, failed = [], 0
        for subject in range(subjects):
            image, rootlets, cord = synthetic_scan(contrast, subject, population=population)
            try:
                scores.append(score(segmenter(image), image, rootlets, cord))
            except SctRootletsError:
                failed += 1
        if not scores:
            row(contrast, "all failed")
            continue
        levels = np.concatenate([one.dice for one in scores] + [np.zeros(8 * failed)])
        right, wrong = sum(one.right for one in scores), sum(one.wrong for one in scores)
        sure, sure_and_right = sum(one.sure for one in scores), sum(one.sure_and_right for one in scores)
        off = np.abs(np.concatenate([one.off_mm for one in scores]))
        row(
            f"{contrast}, {failed} failed" if failed else contrast,
            f"{levels.mean():.3f} ± {levels.std():.3f}",
            f"{np.mean(np.concatenate([one.visible_dice for one in scores])):.3f}",
            f"{100 * np.mean([one.visible for one in scores]):.0f} %",
            f"{np.mean([one.binary for one in scores]):.3f}",
            f"{np.mean([one.cord for one in scores]):.3f}",
            f"{np.mean([one.area for one in scores]):.2f}",
            f"{right}/{right + wrong} ({100 * right / max(1, right + wrong):.1f} %)",
            f"{100 * sure / max(1, right + wrong):.0f} %",
            f"{100 * sure_and_right / max(1, sure):.1f} %",
            f"{sum(one.missed for one in scores)}/{sum(len(one.dice) for one in scores)}",
            f"median {np.median(off):.2f}, 95 % {np.percentile(off, 95):.2f}",
        )


def real(segmenter: Segmenter, data: Path, scans: tuple[str, ...], given: bool = False) -> None:
    """Tables of the real scans."""
    header(
        "scan", "cord Dice", "cord area", "levels", "vertebral - spinal midpoint, minus what is expected (mm)", "median"
    )
    for name in scans:
        image, cord, discs = errsm(data, name)
        found = segmenter(image, label_points(discs) if given else None)
        rootlets = Volume(found.rootlets, image.affine, "rootlets", image.header)
        off = {}
        if found.rootlets.any():
            subject = compute_spinal_levels(rootlets, cord=cord, discs=discs, method="extent")
            off = {
                pair.name: pair.difference_mm - EXPECTED_MM[pair.spinal.value]
                for pair in subject.pairs
                if pair.pairing == "shifted" and pair.spinal.value in EXPECTED_MM
            }
        names = " ".join(f"{level_name(one.value, 'spinal')}({one.confidence:.2f})" for one in found.spinal.levels)
        median = f"{np.median(np.abs(list(off.values()))):.1f}" if off else "-"
        shown = ", ".join(f"{pair} {mm:+.1f}" for pair, mm in off.items())
        area = f"{area_ratio(Volume(found.cord, image.affine, name), cord):.2f}"
        row(name, f"{dice(found.cord, cord.data > 0):.3f}", area, names, shown, median)


def crop(segmenter: Segmenter, data: Path) -> None:
    """List of figures of the real crop."""
    folder = data / "sct_testing_data" / "t2"
    image = load_volume(folder / "t2.nii.gz")
    theirs = load_volume(folder / "t2_rootlets_RootletSeg-r20250318.nii.gz").data
    cord = load_volume(folder / "t2_seg-manual.nii.gz").data > 0
    found = segmenter(image)
    ours, theirs_mask = found.rootlets > 0, theirs > 0
    near_ours, near_theirs = (ndimage.binary_dilation(mask, np.ones((3, 3, 3))) for mask in (ours, theirs_mask))
    precision = (ours & near_theirs).sum() / max(1, ours.sum())
    recall = (theirs_mask & near_ours).sum() / theirs_mask.sum()
    print(f"- binary Dice {dice(ours, theirs_mask):.3f}; within one voxel: {precision=:.2f}, {recall=:.2f}")
    print(f"- cord Dice {dice(found.cord, cord):.3f}")
    for one in found.spinal.levels:
        level = level_name(one.value, "spinal")
        mine, their = found.rootlets == one.value, theirs == one.value
        if their.sum() <= 2:
            print(f"- {level}: confidence {one.confidence:.2f}, not in RootletSeg's output")
            continue
        arcs = [found.centerline.project(apply_affine(image.affine, np.argwhere(mask))).arc for mask in (mine, their)]
        middle, other = ((np.percentile(arc, 2) + np.percentile(arc, 98)) / 2 for arc in arcs)
        off = f"midpoint off by {middle - other:+.1f} mm"
        print(f"- {level}: confidence {one.confidence:.2f}, {off}, Dice {dice(mine, their):.2f}")


def errsm(data: Path, name: str) -> tuple[Volume, Volume, Volume]:
    """Image, cord mask and discs of one of the four scans."""
    labels = data / "errsm" / "derivatives" / "labels" / f"sub-{name}" / "anat"
    image = data / "errsm" / f"sub-{name}" / "anat" / f"sub-{name}_T2w.nii.gz"
    return (
        load_volume(image),
        load_volume(labels / f"sub-{name}_T2w_label-SC_seg.nii.gz"),
        load_volume(labels / f"sub-{name}_T2w_label-discs_dlabel.nii.gz"),
    )


def repeat(segmenter: Segmenter, subjects: int, contrasts: tuple[str, ...]) -> None:
    """Test-retest: the same synthetic subjects with other noise, texture and protocol."""
    header("contrast", "levels", "found again", "distance of middles (mm): median, 95 %")
    for contrast in contrasts:
        same, total, off = 0, 0, []
        for subject in range(subjects):
            pair = []
            for noise in (0, 1):
                image, *_ = synthetic_scan(contrast, subject, noise)
                found = segmenter(image)
                pair.append(
                    {
                        one.value: found.centerline.position((one.rostral_mm + one.caudal_mm) / 2)[0]
                        for one in found.spinal.levels
                    }
                )
            for value, point in pair[0].items():
                total += 1
                if value in pair[1]:
                    distance = float(np.linalg.norm(point - pair[1][value]))
                    if distance < 8:
                        same += 1
                        off.append(distance)
        row(contrast, total, same, f"{np.median(off):.2f}, {np.percentile(off, 95):.2f}")


def worst(segmenter: Segmenter, subjects: int, contrasts: tuple[str, ...], path: Path) -> None:
    """Draw the held-out synthetic scan with the lowest level-wise Dice: image, truth and what was found, by level."""
    lowest = (2.0, "", 0)
    for contrast in contrasts:
        for subject in range(subjects):
            image, rootlets, cord = synthetic_scan(contrast, subject)
            lowest = min(
                lowest, (float(np.mean(score(segmenter(image), image, rootlets, cord).dice)), contrast, subject)
            )
    mean, contrast, subject = lowest
    image, rootlets, cord = synthetic_scan(contrast, subject)
    found = segmenter(image)
    truth = replace(found, rootlets=rootlets.data, cord=cord.data > 0)
    values = [int(value) for value in np.unique(rootlets.data) if value]
    height = 1.3 * len(values) + 0.3
    figure = Figure(figsize=(4.4, height), facecolor="white")
    axes = figure.subplots(len(values), 3)
    figure.subplots_adjust(left=0.1, right=0.99, top=1 - 0.3 / height, bottom=0.01, wspace=0.03, hspace=0.03)
    for line, value in zip(axes, values, strict=True):
        points = apply_affine(image.affine, np.argwhere(rootlets.data == value))
        middle = float(np.median(found.centerline.project(points).arc))
        draw_cut(line[:2], image, truth, middle)
        draw_cut(line[[0, 2]], image, found, middle)
        line[0].set_ylabel(level_name(value, "spinal"), rotation=0, ha="right", va="center", labelpad=4)
    for column, title in zip(axes[0], ("image", "truth", "found"), strict=True):
        column.set_title(title, fontsize=10)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    print(f"{path}: {contrast}, subject {subject}, level-wise Dice {mean:.3f}")


def draw_cut(pair: np.ndarray, volume: Volume, segmentation: Segmentation, arc: float) -> None:
    """An axial cut, perpendicular to the cord, twice: as it is, and with outlines of cord and rootlets."""
    line = segmentation.centerline
    offset = np.arange(-HALF_MM, HALF_MM + PIXEL_MM, PIXEL_MM)
    _, right, anterior = line.frame(arc)
    points = line.position(arc) + offset[None, :, None] * right[:, None] + offset[:, None, None] * anterior[:, None]
    index = np.moveaxis(apply_affine(np.linalg.inv(volume.affine), points), -1, 0)

    def cut(data: np.ndarray, order: int) -> np.ndarray:
        return ndimage.map_coordinates(data, index, order=order, output=np.float32, mode="constant")

    gray = np.nan_to_num(cut(volume.data, 1))
    low, high = np.percentile(gray, (1, 99.5))
    shown = np.clip((gray - low) / max(high - low, 1e-6), 0, 1)
    colored = np.repeat(shown[..., None], 3, axis=2)
    labels = cut(segmentation.rootlets, 0)
    for value in np.unique(labels[labels > 0]):
        colored[labels == value] = to_rgb(level_color(level_name(int(value), "spinal")))
    cord = cut(segmentation.cord.astype(np.uint8), 1)
    axes: Axes
    for axes, picture in zip(pair, (np.repeat(shown[..., None], 3, axis=2), colored), strict=True):
        axes.imshow(picture, origin="lower", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(False)
    if cord.max() >= 0.5 > cord.min():
        pair[1].contour(cord, levels=[0.5], colors=["#FFFFFF"], linewidths=0.6)


def others(segmenter: Segmenter, data: Path) -> None:
    """Table of what is found on real scans of other contrasts and scanners, which no network has seen."""
    folder = data / "other"
    header("scan", "voxels (mm)", "levels", "discs, z in mm", "probability of the numbers", "known")
    for path in sorted(folder.rglob("*.nii.gz")):
        if re.search("label|seg|bodies|MTR", path.name):
            continue
        volume = load_volume(path)
        sizes = "×".join(f"{mm:.2g}" for mm in volume.spacing)
        try:
            found = segmenter(volume)
        except SctRootletsError as error:
            row(volume.name, sizes, str(error), "", "", "")
            continue
        line = found.centerline
        assert line is not None
        assert found.numbering is not None
        names = " ".join(f"{one.name}({one.confidence:.2f})" for one in found.spinal.levels) or "none"
        discs = ", ".join(f"{one.value}: {line.position(one.arc_mm)[0][2]:.0f}" for one in found.discs)
        row(volume.name, sizes, names, discs, f"{found.numbering.probability:.2f}", known_heights(data, path))


def cords(segmenter: Segmenter, data: Path) -> None:
    """Table of the border of the cord against manual masks, and of how bright fluid is against the cord."""
    header("scan", "area, ours over manual", "Dice", "fluid over cord")
    for path in sorted(data.rglob("*.nii.gz")):
        kind = re.search(r"_(T2w|T1w|T2starw)\.nii|^(t2|t1map)\.nii", path.name)
        if kind is None or not {"errsm", "errsm2", "other", "sct_testing_data"} & set(path.relative_to(data).parts[:1]):
            continue
        volume = load_volume(path)
        try:
            found = Volume(segmenter(volume).cord, volume.affine, volume.name)
        except SctRootletsError as error:
            row(volume.name, str(error), "", "")
            continue
        ratio = f"{compare_fluid_with_cord(volume, found.data):.2f}"
        mask = manual_mask(data, path)
        if mask is None:
            row(volume.name, "", "", ratio)
            continue
        ours, theirs = (as_axial(one).data > 0 for one in (found, load_volume(mask)))
        both = ours.any(axis=(0, 1)) & theirs.any(axis=(0, 1))
        overlap = dice(ours[..., both], theirs[..., both])
        row(volume.name, f"{area_ratio(found, load_volume(mask)):.2f}", f"{overlap:.2f}", ratio)


def slices(segmenter: Segmenter, data: Path) -> None:
    """Table of the axial slices with rootlets, against those on which the eye sees rootlets or none."""
    header("scan", "found where the eye sees them", "found where the eye sees none")
    total = np.zeros((2, 2), dtype=int)
    for name, read in READ_SLICES.items():
        (path,) = data.rglob(name)
        found = (segmenter(load_volume(path)).rootlets > 0).any(axis=(0, 1))
        counts = np.array([(int(found[list(part)].sum()), len(part)) for part in read])
        total += counts
        row(name, *(f"{n}/{of}" for n, of in counts))
    row("all", *(f"{n}/{of} ({100 * n / of:.0f} %)" for n, of in total))


def manual_mask(data: Path, image: Path) -> Path | None:
    """Find the manual mask of the cord of a scan: beside it, or below the derivatives of its dataset."""
    name = image.name.removesuffix(".nii.gz")
    endings = ("label-SC_seg", "seg-manual", "seg")
    dataset = data / image.relative_to(data).parts[0]
    candidates = [path for ending in endings for path in sorted(dataset.rglob(f"{name}_{ending}.nii.gz"))]
    return candidates[0] if candidates else None


def known_heights(data: Path, path: Path) -> str:
    """Heights of discs or bodies that are known of a scan: of labels in its space or its session's, or read by eye."""
    subject = path.name.split("_")[0]
    labels = [
        *data.glob(f"errsm*/derivatives/labels/{subject}/anat/*label-discs_dlabel.nii.gz"),
        *path.parent.glob("*bodies*.nii.gz"),
    ]
    if not labels:
        read = READ_BY_EYE.get(path.name, {})
        return "by eye " + ", ".join(f"{value}: {z}" for value, z in read.items()) if read else ""
    points = label_points(load_volume(labels[0]))
    kind = "bodies" if "bodies" in labels[0].name else "discs"
    return f"{kind} " + ", ".join(f"{value}: {point[2]:.0f}" for value, point in sorted(points.items()))


def main() -> None:
    """Print a table, or draw a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("synthetic", "real", "crop", "others", "cords", "slices", "repeat", "worst"))
    parser.add_argument("-subjects", type=int, default=20)
    parser.add_argument("-contrasts", help="some of the contrasts, between commas")
    parser.add_argument("-population", choices=tuple(POPULATIONS), default="held-out", help="of synthetic")
    parser.add_argument("-data", type=Path, default=os.environ.get("SCT_ROOTLETS_DATA"))
    parser.add_argument(
        "-bundle", type=Path, default=BUNDLED_FOLDER, help="folder with the models overview and rootlets"
    )
    parser.add_argument("-scans", default=",".join(ERRSM), help="some of the four scans, between commas")
    parser.add_argument("-discs", action="store_true", help="let the discs of the four scans take part in naming")
    parser.add_argument("-o", type=Path, default=Path("worst.png"), help="picture of worst")
    arguments = parser.parse_args()
    segmenter = load_segmenter(bundle=arguments.bundle)
    contrasts = tuple(arguments.contrasts.split(",")) if arguments.contrasts else POPULATIONS[arguments.population]
    if arguments.what == "synthetic":
        synthetic(segmenter, arguments.subjects, contrasts, arguments.population)
        return
    if arguments.what == "repeat":
        repeat(segmenter, arguments.subjects, contrasts)
        return
    if arguments.what == "worst":
        worst(segmenter, arguments.subjects, contrasts, arguments.o)
        return
    if arguments.data is None:
        parser.error("give the folder with real scans: -data DIR, or SCT_ROOTLETS_DATA")
    if arguments.what == "crop":
        crop(segmenter, arguments.data)
    elif arguments.what == "others":
        others(segmenter, arguments.data)
    elif arguments.what == "cords":
        cords(segmenter, arguments.data)
    elif arguments.what == "slices":
        slices(segmenter, arguments.data)
    else:
        real(segmenter, arguments.data, tuple(arguments.scans.split(",")), arguments.discs)


if __name__ == "__main__":
    main()
