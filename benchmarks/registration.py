"""How well subjects are registered to PAM50: every figure that docs/registration.md states.

    python benchmarks/registration.py deformed -template PAM50 -draws 20
    python benchmarks/registration.py real -template PAM50 -data DIR
    python benchmarks/registration.py misnumbered -template PAM50 -data DIR
    python benchmarks/registration.py spread -subjects 10
    python benchmarks/registration.py group -subjects 10
    python benchmarks/registration.py speed -template PAM50

``deformed``: PAM50's own labels, bent, stretched, turned and shifted level by level by a known map, drawn on voxels of
0.8 mm (``-voxel``), and registered back. ``real``: a crop with RootletSeg's rootlets and four scans with ours (DIR, by
default the folder that SCT_ROOTLETS_DATA names). ``misnumbered``: by how much registrations by our rootlets
miss the discs, where levels bear their own names, and those of neighbours. ``spread``: phantoms whose levels drift
against their vertebrae, by rootlets and by discs. ``group``: the mean over such phantoms of maps that are active at one
level. ``speed``: the whole command on 384×216×52 voxels. PAM50 is a folder, by default ``$SCT_DIR/data/PAM50``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from sct_rootlets.image import Volume
from sct_rootlets.levels import FIRST_NAMED, LAST_NAMED, level_name
from sct_rootlets.nifti import load_volume
from sct_rootlets.output.phantoms import write_template
from sct_rootlets.phantom import Phantom, activation, draw_phantom, phantom_grid
from sct_rootlets.registration.align import Alignment, align
from sct_rootlets.registration.axial_rotation import axial_rotation_of_roots, axial_rotation_of_sections
from sct_rootlets.registration.cord import LandmarkedCord, landmarked_cord
from sct_rootlets.registration.fields import displacement_field, jacobian, sample_field
from sct_rootlets.registration.pairs import landmark_errors, missed_landmarks
from sct_rootlets.registration.resample import resample
from sct_rootlets.registration.result import Registration
from sct_rootlets.registration.sections import SECTION_SPACING_MM, angles, measure_sections
from sct_rootlets.registration.template_folder import TemplateFolder, find_template
from sct_rootlets.registration.to_template import Landmarks, read_template_cord, register
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.cervical import cervical_anatomy

ERRSM = ("errsm11", "errsm18", "errsm21", "errsm23")
ALL_ERRSM = {**dict.fromkeys(ERRSM, "errsm"), "errsm20": "errsm2", "errsm24": "errsm2"}


def row(*cells: object) -> None:
    """Print a row of a table in Markdown."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def header(*titles: str) -> None:
    """Print the head of a table."""
    row(*titles)
    row(*["---"] * len(titles))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def part_of(template: LandmarkedCord, low_mm: float, high_mm: float) -> tuple[tuple[slice, ...], np.ndarray]:
    """Cut the grid of the template around a part of its cord: slices of its arrays, and the affine of the part."""
    affine, mask = template.mask.affine, template.mask.data
    ends = template.space.points(np.array([[low_mm, 0, 0], [high_mm, 0, 0]]))
    index = np.sort(np.rint(apply_affine(np.linalg.inv(affine), ends)), axis=0)
    margin = np.array([12.0, 12.0, 0.0]) / template.mask.spacing
    low = np.clip(index[0] - margin, 0, mask.shape).astype(int)
    high = np.clip(index[1] + margin + 1, 0, mask.shape).astype(int)
    part_affine = affine.copy()
    part_affine[:3, 3] = apply_affine(affine, low)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), part_affine


# ---- PAM50, deformed by a known map


@dataclass(frozen=True)
class Bent:
    """A known smooth map: the straight template along a bent curve, stretched, turned, with levels shifted.

    It is implemented here independently of the code that it tests.
    """

    axis: np.ndarray  # x and y of the template's cord
    top: float  # z where heights are counted from, downwards
    along: PchipInterpolator  # height to arc length
    back: PchipInterpolator
    size: np.ndarray  # of the cord across, in x and y
    twist: tuple[float, float]  # amplitude in radians, wavelength
    arc: np.ndarray
    points: np.ndarray
    tree: cKDTree
    frames: np.ndarray  # (arc, 3 axes: down, right, anterior, 3)

    @classmethod
    def draw(cls, rng: np.random.Generator, template: LandmarkedCord) -> Bent:
        """Draw a map: up to 25° of lordosis, 4 mm of sway, 0.85 to 1.15 in length and width, 6 mm of shifts, 5°."""
        middle = template.space.points(np.array([[80.0, 0, 0]]))[0]
        top = template.space.points(np.array([[0.0, 0, 0]]))[0][2]
        levels = [top - template.space.points(np.array([[one.arc_mm, 0, 0]]))[0][2] for one in template.landmarks
                  if one.kind == "rootlets"]  # fmt: skip
        steps = rng.uniform(-3.5, 3.5, len(levels))
        shifts = np.clip(np.cumsum(steps) - np.cumsum(steps).mean(), -6, 6)
        knots = np.array([-40.0, *levels, levels[-1] + 60, levels[-1] + 120])
        moved = knots * rng.uniform(0.85, 1.15) + np.array([shifts[0], *shifts, shifts[-1], shifts[-1]])
        arc = np.arange(moved[0], moved[-1], 0.05)
        lean = np.radians(rng.uniform(-25, 25)) * np.cos(2 * np.pi * (arc - rng.uniform(0, 80)) / 220)
        sway = rng.uniform(-4, 4) * 2 * np.pi / 180 * np.cos(2 * np.pi * (arc - rng.uniform(0, 180)) / 180)
        down = np.stack([sway, np.sqrt(1 - sway**2) * np.sin(lean), -np.sqrt(1 - sway**2) * np.cos(lean)], axis=1)
        right = np.array([1.0, 0, 0]) - down[:, :1] * down
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        points = np.cumsum(down, axis=0) * 0.05
        frames = np.stack([down, right, np.cross(right, down)], axis=1)
        return cls(
            middle[:2], top, PchipInterpolator(knots, moved), PchipInterpolator(moved, knots),
            rng.uniform(0.85, 1.15, 2), (np.radians(rng.uniform(-5, 5)), rng.uniform(100, 300)),
            arc, points, cKDTree(points), frames,
        )  # fmt: skip

    def _turned(self, across: np.ndarray, arc: np.ndarray, sign: int) -> np.ndarray:
        angle = sign * self.twist[0] * np.cos(2 * np.pi * arc / self.twist[1])
        cos, sin = np.cos(angle), np.sin(angle)
        return np.stack([cos * across[:, 0] - sin * across[:, 1], sin * across[:, 0] + cos * across[:, 1]], axis=1)

    def to_subject(self, points: np.ndarray) -> np.ndarray:
        """Where points of the template go."""
        arc = self.along(self.top - points[:, 2])
        across = self._turned((points[:, :2] - self.axis) * self.size, arc, 1)
        curve = np.stack([np.interp(arc, self.arc, column) for column in self.points.T], axis=1)
        index = np.clip(np.rint((arc - self.arc[0]) / 0.05).astype(int), 0, len(self.arc) - 1)
        frame = self.frames[index]
        return curve + across[:, :1] * frame[:, 1] + across[:, 1:] * frame[:, 2]

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Where points of the subject come from."""
        _, index = self.tree.query(points)
        offset = points - self.points[index]
        frame = self.frames[index]
        arc = self.arc[index] + np.einsum("ij,ij->i", offset, frame[:, 0])
        across = np.stack([np.einsum("ij,ij->i", offset, frame[:, axis]) for axis in (1, 2)], axis=1)
        across = self._turned(across, arc, -1) / self.size + self.axis
        return np.column_stack([across, self.top - self.back(arc)])


def deformed_subject(bent: Bent, template: LandmarkedCord, rootlets: Volume, voxel_mm: float) -> tuple[Volume, Volume]:
    """Cord and rootlets of the deformed template on isotropic voxels, in the axis order of a sagittal scan."""
    ends = [one.arc_mm for one in template.landmarks if one.kind == "rootlets"]
    line = np.arange(max(0.0, min(ends) - 14), max(ends) + 20, 1.0)
    curve = bent.to_subject(template.space.points(np.column_stack([line, np.zeros((len(line), 2))])))
    margin = np.array([16.0, 16.0, 0.0])
    low, high = curve.min(axis=0) - margin, curve.max(axis=0) + margin
    affine = np.array([[0.0, 0, 1, low[0]], [-1, 0, 0, high[1]], [0, 1, 0, low[2]], [0, 0, 0, 1]])
    affine[:3, :3] *= voxel_mm
    shape = tuple(np.ceil((high - low)[[1, 2, 0]] / voxel_mm).astype(int))
    source = bent.to_template(apply_affine(affine, np.indices(shape).reshape(3, -1).T))
    drawn = []
    for volume, name in ((template.mask, "cord"), (rootlets, "rootlets")):
        index = apply_affine(np.linalg.inv(volume.affine), source).T
        data = ndimage.map_coordinates(volume.data.astype(np.uint8), index, order=0)
        drawn.append(Volume(data.reshape(shape), affine, name))
    return drawn[0], drawn[1]


def deformed(template: TemplateFolder, draws: int, voxel_mm: float, seed: int) -> None:
    """Table of PAM50 deformed and registered back."""
    template_cord = read_template_cord(template, ["rootlets"])
    rootlets, fluid = template.load("rootlets"), template.folder / "PAM50_csf.nii.gz"
    assert rootlets is not None
    levels = [one for one in template_cord.landmarks if one.kind == "rootlets"]
    part, affine = part_of(template_cord, levels[0].arc_mm - 6, levels[-1].arc_mm + 6)
    cord = template_cord.mask.data[part]
    canal = cord | (
        load_volume(fluid).data[part] > 0 if fluid.exists() else ndimage.binary_dilation(cord, iterations=6)
    )
    places = apply_affine(affine, np.argwhere(cord))[::7]
    middles = template_cord.space.points(np.array([[one.arc_mm, 0, 0] for one in levels]))
    header("draw", "midpoints off, greatest (mm)", "cord Dice", "off the truth in the cord, median (95 %) (mm)",
           "inverse, 95 % (greatest) (mm)", "least Jacobian in the canal")  # fmt: skip
    table, near = [], 0
    for draw in range(draws):
        bent = Bent.draw(np.random.default_rng((seed, draw)), template_cord)
        subject, roots = deformed_subject(bent, template_cord, rootlets, voxel_mm)
        warp = align(template_cord, landmarked_cord(subject, roots)).warp
        forward = displacement_field(warp.to_subject, cord.shape, affine)
        backward = displacement_field(warp.to_template, subject.data.shape, subject.affine)
        back = resample(Volume(subject.data.astype(np.float32), subject.affine), forward, affine) >= 0.5
        each = np.abs((warp.to_template(bent.to_subject(middles)) - middles)[:, 2])
        near += int((each <= 0.5).sum())
        off = each.max()
        truth = np.linalg.norm(warp.to_subject(places) - bent.to_subject(places), axis=1)
        round_trip = np.linalg.norm(there_and_back(places, forward, affine, backward, subject.affine), axis=1)
        least = min(
            jacobian(forward, affine)[canal].min(),
            jacobian(backward, subject.affine)[inner(ndimage.binary_dilation(subject.data > 0, iterations=3))].min(),
        )
        table.append((off, dice(back, cord), np.median(truth), np.percentile(truth, 95), np.percentile(round_trip, 95),
                      round_trip.max(), least))  # fmt: skip
        row(draw, f"{off:.2f}", *shown(table[-1]))
    values = np.array(table)
    worst = (*values[:, :1].max(axis=0), *values[:, 1:2].min(axis=0), *values[:, 2:6].max(axis=0), values[:, 6].min())
    row("worst", f"{worst[0]:.2f}", *shown(worst))
    row("median", f"{np.median(values[:, 0]):.2f}", *shown(tuple(np.median(values, axis=0))))
    print(f"\nmiddles of levels within 0.5 mm: {near} of {draws * len(levels)}")


def inner(mask: np.ndarray) -> np.ndarray:
    """Leave out the faces of the volume, where differences are one-sided."""
    result = np.zeros_like(mask)
    result[1:-1, 1:-1, 1:-1] = mask[1:-1, 1:-1, 1:-1]
    return result


def shown(values: tuple[float, ...]) -> tuple[str, ...]:
    """Cells of a row of `deformed`."""
    _, overlap, median, most, trip, longest, least = values
    return f"{overlap:.3f}", f"{median:.2f} ({most:.2f})", f"{trip:.3f} ({longest:.3f})", f"{least:.2f}"


def there_and_back(
    points: np.ndarray, forward: np.ndarray, affine: np.ndarray, backward: np.ndarray, back_affine: np.ndarray
) -> np.ndarray:
    """Compute the displacement of points after both fields, forward and backward, shape (N, 3)."""
    moved = points + sample_field(forward, affine, points)
    return moved + sample_field(backward, back_affine, moved) - points


# ---- real scans


def subjects(data: Path) -> dict[str, tuple[Volume, Volume, Volume]]:
    """Cord, rootlets and discs of the real crop and the four scans, whose rootlets are segmented here."""
    from sct_rootlets import segment_rootlets

    folder = data / "sct_testing_data" / "t2"
    names = ("t2_seg-manual", "t2_rootlets_RootletSeg-r20250318", "t2_label-discs_dlabel")
    found = {"crop": tuple(load_volume(folder / f"{name}.nii.gz") for name in names)}
    for name in ERRSM:
        image = load_volume(data / "errsm" / f"sub-{name}" / "anat" / f"sub-{name}_T2w.nii.gz")
        labels = data / "errsm" / "derivatives" / "labels" / f"sub-{name}" / "anat"
        rootlets = Volume(segment_rootlets(image).rootlets, image.affine, f"rootlets of {name}")
        cord, discs = (
            load_volume(labels / f"sub-{name}_T2w_label-{what}.nii.gz") for what in ("SC_seg", "discs_dlabel")
        )
        found[name] = cord, rootlets, discs
    return found  # type: ignore[return-value]


def real(template: TemplateFolder, data: Path) -> None:
    """Print tables of real scans: middles of levels with each level and without it, cord Dice, and axial rotations."""
    template_cord = read_template_cord(template, ["rootlets"])
    columns = (
        "scan",
        "used levels: off (mm)",
        "their outermost rootlets' middles: off (mm)",
        "leaving one level out: off",
    )
    header(*columns, "cord Dice", "least Jacobian", "discs: off, by rootlets (mm)")
    rotations, ratios, below = [], [], {}
    for name, (cord, rootlets, discs) in subjects(data).items():
        subject_cord = landmarked_cord(cord, rootlets, discs)
        found = align(template_cord, subject_cord)
        pairs = list(zip(found.pairs, landmark_errors(found.pairs), strict=True))
        used = [(pair.subject.name, *errors) for pair, errors in pairs if pair.used]
        off = [f"{pair.subject.name} {errors.error_mm:+.1f}" for pair, errors in pairs if pair.subject.kind == "discs"]
        middles = [
            float(found.warp.arc_map(pair.template.arc_mm)) - pair.subject.arc_mm
            for pair in align(template_cord, subject_cord, by_shape=False).pairs
            if pair.used
        ]
        overlap, least = in_template_space(template_cord, subject_cord, found)
        row(
            name,
            f"at most {max(abs(error_mm) for _, error_mm, _ in used):.2f}",
            ", ".join(f"{level} {error_mm:+.1f}" for (level, _, _), error_mm in zip(used, middles, strict=True)),
            ", ".join(f"{level} {leave_one_out_mm:+.1f}" for level, _, leave_one_out_mm in used),
            f"{overlap:.3f}",
            f"{least:.2f}",
            ", ".join(off),
        )
        rotations.append((name, *axial_rotations(template_cord, subject_cord, found)))
        levels = {pair.subject.name: pair.subject.arc_mm for pair in found.pairs if pair.subject.kind == "rootlets"}
        if {"C3", "C8", "T1"} <= set(levels):
            below[name] = share_below(levels)
        knots = found.warp.arc_map
        ratios += list(np.diff(knots.subject_mm) / np.diff(knots.template_mm))
    print(f"\nlength between neighbouring levels, subject over template: {min(ratios):.2f} to {max(ratios):.2f}")
    of_template = share_below(places(template_cord))
    print(f"from C8 to T1, as a share of the way from C3 to C8: template {of_template:.3f}, its ", end="")
    print(f"proportional levels {share_below(proportional(template, template_cord)):.3f}, scans", end=" ")
    print(", ".join(f"{name} {share:.3f}" for name, share in below.items()), end="\n\n")
    header(
        "scan", "turn by the mask's sections, mean (degrees)", "by pairs of roots, mean (SD; number)", "as estimated"
    )
    for name, by_section, by_roots, estimated in rotations:
        roots = f"{np.mean(by_roots):+.1f} ({np.std(by_roots):.1f}; {len(by_roots)})"
        row(name, f"{by_section:+.1f}", roots, f"{estimated:+.1f}")


def misnumbered(template: TemplateFolder, data: Path) -> None:
    """Print how far discs are missed where the rootlets of all levels bear their name, or that of a neighbour."""
    from sct_rootlets import segment_rootlets

    header("scan", "right names (mm)", "C5 called C6, and so on (mm)", "C5 called C4, and so on (mm)")
    for name, dataset in sorted(ALL_ERRSM.items()):
        image = load_volume(data / dataset / f"sub-{name}" / "anat" / f"sub-{name}_T2w.nii.gz")
        labels = data / dataset / "derivatives" / "labels" / f"sub-{name}" / "anat"
        discs = load_volume(labels / f"sub-{name}_T2w_label-discs_dlabel.nii.gz")
        found = segment_rootlets(image)
        medians = []
        for shift in (0, 1, -1):
            values = found.rootlets.astype(int) + shift * (found.rootlets > 0)
            values[(values < FIRST_NAMED) | (values > LAST_NAMED)] = 0
            registration = register(
                image,
                cord=Volume(found.cord, image.affine, "cord"),
                rootlets=Volume(values.astype(np.uint8), image.affine, "rootlets"),
                discs=discs,
                template=template,
            )
            medians.append(np.median(missed_landmarks(registration.alignment.pairs)["discs"]))
        row(name, *(f"{median:+.1f}" for median in medians))


def places(cord: LandmarkedCord) -> dict[str, float]:
    """Return the middles of levels along a cord, mm by name."""
    return {one.name: one.arc_mm for one in cord.landmarks if one.kind == "rootlets"}


def proportional(template: TemplateFolder, template_cord: LandmarkedCord) -> dict[str, float]:
    """Compute the middles of the template's proportional spinal levels along its cord, mm by name."""
    volume = template.load("spinal_levels")
    assert volume is not None
    index = np.argwhere(volume.data)[::20]
    arc = template_cord.space.coordinates(apply_affine(volume.affine, index))[:, 0]
    value = volume.data[tuple(index.T)]
    return {level_name(at, "spinal"): float(np.median(arc[value == at])) for at in range(2, 10)}


def share_below(levels: dict[str, float]) -> float:
    """How far T1 lies below C8, over how far C8 lies below C3."""
    return (levels["T1"] - levels["C8"]) / (levels["C8"] - levels["C3"])


def in_template_space(
    template_cord: LandmarkedCord, subject_cord: LandmarkedCord, found: Alignment
) -> tuple[float, float]:
    """Compute Dice of the cords in template space along the part that both have, and the least Jacobian around it."""
    low, high = found.warp.arc_map.inverse(np.array([0.0, subject_cord.centerline.cord_length]))
    part, affine = part_of(template_cord, max(low, 0.0), min(high, template_cord.centerline.cord_length))
    cord = template_cord.mask.data[part]
    field = displacement_field(found.warp.to_subject, cord.shape, affine)
    warped = resample(Volume(subject_cord.mask.data.astype(np.float32), subject_cord.mask.affine), field, affine) >= 0.5
    near = inner(ndimage.binary_dilation(cord, iterations=6))
    return dice(warped, cord), float(jacobian(field, affine)[near].min())


def axial_rotations(
    template_cord: LandmarkedCord, subject_cord: LandmarkedCord, found: Alignment
) -> tuple[float, np.ndarray, float]:
    """Compute the axial rotation of a cord in degrees: by its sections, by its roots, and as the warp has it."""
    section_map = found.warp.section_map
    assert subject_cord.rootlets is not None
    arc = section_map.first_mm + SECTION_SPACING_MM * np.arange(len(section_map.axial_rotation))
    both = (measure_sections(template_cord.mask, template_cord.space, arc).radius,
            measure_sections(subject_cord.mask, subject_cord.space, found.warp.arc_map(arc)).radius)  # fmt: skip
    rotation, weight = axial_rotation_of_sections(*both, angles())
    by_sections = float(np.degrees(np.average(rotation, weights=weight)))
    by_roots = np.degrees(axial_rotation_of_roots(subject_cord.rootlets)[1])
    return by_sections, by_roots, float(np.degrees(section_map.axial_rotation.mean()))


# ---- levels that drift against their vertebrae


def drifting(n_subjects: int, drift_mm: float) -> Iterator[Phantom]:
    """Phantoms whose levels lie against the vertebrae as published on average (`sct_rootlets.correspondence.BIAS_MM`).

    From subject to subject, all levels of one drift by a normal deviate; bend, sway and length differ too.
    """
    rng = np.random.default_rng(2026)
    for _ in range(n_subjects):
        anatomy = cervical_anatomy(
            bend_deg=rng.uniform(5, 25),
            sway_mm=rng.uniform(-3, 3),
            scale=rng.uniform(0.92, 1.08),
            drift_mm=drift_mm * rng.standard_normal(),
        )
        yield draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))


def by(landmarks: Landmarks, drawn: Phantom, template: str) -> Registration:
    """Register a phantom to the phantom that stands for the template."""
    return register(cord=drawn.cord, rootlets=drawn.rootlets, discs=drawn.discs, template=template, landmarks=landmarks)


def middles(anatomy: Anatomy) -> dict[str, float]:
    """True middle of each level's attachment, mm of arc length."""
    return {name: sum(ends) / 2 for name, ends in anatomy.spinal_extents(0.0).items()}


def spread(n_subjects: int, drift_mm: float) -> None:
    """Table of the spread over phantoms of each spinal level's middle in template space, by rootlets and by discs."""
    places: dict[Landmarks, list[np.ndarray]] = {"rootlets": [], "discs": []}
    with tempfile.TemporaryDirectory() as folder:
        write_template(folder)
        for drawn in drifting(n_subjects, drift_mm):
            levels = middles(drawn.anatomy)
            points = drawn.anatomy.centerline.position(np.array(list(levels.values())))
            for kind, found in places.items():
                found.append(by(kind, drawn, folder).alignment.warp.to_template(points)[:, 2])
    print(f"{n_subjects} phantoms, drift of SD {drift_mm:g} mm\n")
    header("level", "SD by discs (mm)", "SD by rootlets (mm)", "ratio")
    sd = {kind: np.std(np.array(found), axis=0, ddof=1) for kind, found in places.items()}
    for name, one, other in zip(levels, sd["discs"], sd["rootlets"], strict=True):
        row(name, f"{one:.2f}", f"{other:.2f}", f"{one / other:.1f}")
    row("least ratio", "", "", f"{(sd['discs'] / sd['rootlets']).min():.1f}")


def group(n_subjects: int, drift_mm: float) -> None:
    """Table of a group mean of maps that are active at spinal level C6: docs/registration.md works it through.

    Each map is 1 in the right half of the cord at the middle of C6, and falls off with a standard deviation of 3 mm.
    """
    kinds: tuple[Landmarks, ...] = ("rootlets", "discs")
    means: dict[str, list[np.ndarray]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        write_template(folder)
        levels = load_volume(Path(folder) / "template" / "phantom_spinal_levels.nii.gz").data
        for drawn in drifting(n_subjects, drift_mm):
            for kind in kinds:
                activity = Volume(activation(drawn), drawn.cord.affine)
                means[kind].append(by(kind, drawn, folder).resample_to_template(activity))
    header("aligned by", "peak of the group's mean", "share of its activity in the cord at C5", "at C6", "at C7")
    for kind, maps in means.items():
        mean = np.mean(maps, axis=0)
        total = mean[levels > 0].sum()
        shares = [f"{100 * mean[levels == value].sum() / total:.0f} %" for value in (5, 6, 7)]
        row(kind, f"{mean[levels > 0].max():.2f}", *shares)


# ---- the whole command


def speed(folder: Path, runs: int) -> None:
    """Time and memory of the command, from a cold interpreter, with cord and rootlets given and without."""
    from spinal_levels import SHAPE, measure, write_scan

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_scan(place)
        command = [sys.executable, "-m", "sct_rootlets.cli.main", "register", "-i", str(place / "t2.nii.gz")]
        command += ["-template", str(folder), "-ofolder", str(place / "reg")]
        labels = ["-s", str(place / "t2_seg.nii.gz"), "-rootlets", str(place / "t2_rootlets.nii.gz")]
        print(f"{os.cpu_count()} cores, {'×'.join(map(str, SHAPE))} voxels to PAM50, {runs} runs\n")
        header("command", "median (s)", "range (s)", "peak memory (MB)")
        for title, more in (("cord and rootlets given", labels), ("both segmented", [])):
            seconds, megabytes = measure([*command, *more], runs)
            shortest, longest = min(seconds), max(seconds)
            row(title, f"{statistics.median(seconds):.1f}", f"{shortest:.1f}-{longest:.1f}", f"{megabytes:.0f}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("deformed", "real", "misnumbered", "spread", "group", "speed"))
    parser.add_argument("-template", type=Path, help="folder of PAM50")
    parser.add_argument("-data", type=Path, default=os.environ.get("SCT_ROOTLETS_DATA"))
    parser.add_argument("-draws", type=int, default=20)
    parser.add_argument("-seed", type=int, default=2026, help="of the draws")
    parser.add_argument("-subjects", type=int, default=12, help="phantoms of spread and group")
    parser.add_argument("-drift", type=float, default=3.0, help="of spread and group: standard deviation in mm")
    parser.add_argument("-runs", type=int, default=3, help="of speed")
    parser.add_argument("-voxel", type=float, default=0.8, help="of the deformed template, in mm")
    arguments = parser.parse_args()
    if arguments.what == "deformed":
        deformed(find_template(arguments.template), arguments.draws, arguments.voxel, arguments.seed)
    elif arguments.what == "spread":
        spread(arguments.subjects, arguments.drift)
    elif arguments.what == "group":
        group(arguments.subjects, arguments.drift)
    elif arguments.what == "speed":
        speed(find_template(arguments.template).folder, arguments.runs)
    elif arguments.data is None:
        parser.error("give the folder with real scans: -data DIR, or SCT_ROOTLETS_DATA")
    else:
        table = real if arguments.what == "real" else misnumbered
        table(find_template(arguments.template), Path(arguments.data))


if __name__ == "__main__":
    main()
