"""Random cervical anatomies, drawn from ranges around published values.

Everything that a network must not take for granted varies: the bend of the neck, the size of cord and canal, the
distance between rootlets and vertebrae, and the number, thickness, asymmetry and absence of fila.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sct_rootlets.centerline import Centerline
from sct_rootlets.cord_profile import draw_section
from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import level_name, level_value
from sct_rootlets.synthesis.anatomy import Anatomy, Filum, course, relative_size
from sct_rootlets.vertebral import VERTEBRA_LENGTH_MM

Range = tuple[float, float]
# Length of the root entry zones in mm, dorsal and ventral: C3-C8 after Kobayashi 2015 (Eur Spine J 24:2828, 11
# cadavers); C2 and T1 are assumptions in keeping with their neighbours.
DORSAL_ZONE_LENGTH_MM = {"C2": 9.5, "C3": 12.1, "C4": 13.3, "C5": 13.6, "C6": 12.2, "C7": 11.0, "C8": 10.6, "T1": 10.0}
VENTRAL_ZONE_LENGTH_MM = {"C2": 9.5, "C3": 12.1, "C4": 12.5, "C5": 12.6, "C6": 12.7, "C7": 11.8, "C8": 10.6, "T1": 10.0}
# How far below the caudal end of its entry zone a root leaves the canal: C1-C2 run upwards, C3 level, C4-T2 more
# and more caudally (Clin Anat 1993;6:167).
EXIT_DROP_MM = {"C2": -4.0, "C3": -2.0, "C4": 0.0, "C5": 1.0, "C6": 2.0, "C7": 3.5, "C8": 5.0, "T1": 6.5}


@dataclass(frozen=True)
class AnatomyRanges:
    """Ranges that random anatomies are drawn from, evenly; lengths in mm, angles in degrees.

    Attributes
    ----------
    scale : (float, float)
        Size of the whole spine along the cord.
    lean_deg, bend_deg : (float, float)
        Lean of the cord as a whole, and how far it bends forward and back along its course.
    sway_mm : (float, float)
        How far it strays to the sides.
    half_width_mm, half_depth_mm : (float, float)
        Half axes of the cord at C3.
    enlargement : (float, float), optional
        How much wider the cord is at the cervical enlargement, as a share; by default, the cord is as thick along the
        vertebrae as those of healthy adults (`sct_rootlets.cord_profile.draw_section`).
    canal_gap_mm : (float, float)
        Cerebrospinal fluid between cord and dura.
    drift_mm : (float, float)
        Caudal displacement of all rootlets against the vertebrae.
    level_jitter_mm : (float, float)
        Standard deviation of each level's own displacement.
    zone_scale : (float, float)
        Length of entry zones, relative to the published means.
    asymmetry_mm : (float, float)
        Standard deviation of the displacement of a single root.
    fila_dorsal, fila_ventral : (float, float)
        Number of fila in a root.
    filum_radius_mm : (float, float)
        Radius of a filum, the same for all fila of an anatomy but for a lognormal factor.
    missing_root, missing_filum : (float, float)
        Probability that a root, or a filum, is absent or invisible.
    dorsal_deg, ventral_deg : (float, float)
        Where roots attach, ventral of the cord's widest line, the cross-section stretched to a circle.
    exit_jitter_mm : (float, float)
        Standard deviation of the height at which a root leaves the canal.
    """

    scale: Range = (0.85, 1.15)
    lean_deg: Range = (-12.0, 12.0)
    bend_deg: Range = (0.0, 30.0)
    sway_mm: Range = (0.0, 3.0)
    half_width_mm: Range = (5.3, 7.2)
    half_depth_mm: Range = (3.2, 4.6)
    enlargement: Range | None = None
    canal_gap_mm: Range = (1.2, 4.5)
    drift_mm: Range = (-5.0, 5.0)
    level_jitter_mm: Range = (0.0, 1.5)
    zone_scale: Range = (0.7, 1.05)
    asymmetry_mm: Range = (0.0, 1.0)
    fila_dorsal: Range = (4.0, 8.0)
    fila_ventral: Range = (3.0, 7.0)
    filum_radius_mm: Range = (0.25, 0.6)
    missing_root: Range = (0.0, 0.06)
    missing_filum: Range = (0.0, 0.15)
    dorsal_deg: Range = (-38.0, -5.0)
    ventral_deg: Range = (32.0, 60.0)
    exit_jitter_mm: Range = (0.0, 1.5)


#: The population that networks are trained on.
TRAINING_RANGES = AnatomyRanges()
#: The population that networks are tested on: shifted and partly wider, fixed before any network was trained.
HELD_OUT_RANGES = AnatomyRanges(
    scale=(0.82, 1.18),
    lean_deg=(-18.0, 18.0),
    bend_deg=(5.0, 35.0),
    sway_mm=(0.5, 4.0),
    half_width_mm=(5.6, 7.5),
    half_depth_mm=(3.4, 4.9),
    enlargement=(0.05, 0.22),
    canal_gap_mm=(1.0, 5.0),
    drift_mm=(-6.0, 6.0),
    level_jitter_mm=(0.5, 2.0),
    zone_scale=(0.75, 1.1),
    asymmetry_mm=(0.3, 1.3),
    fila_dorsal=(5.0, 9.0),
    fila_ventral=(4.0, 8.0),
    filum_radius_mm=(0.28, 0.5),
    missing_root=(0.02, 0.08),
    missing_filum=(0.05, 0.2),
    dorsal_deg=(-32.0, -10.0),
    ventral_deg=(36.0, 55.0),
    exit_jitter_mm=(0.5, 2.0),
)
#: The same population, with cords as thick along the vertebrae as those of healthy adults.
REALISTIC_RANGES = replace(HELD_OUT_RANGES, enlargement=None)


def random_anatomy(rng: np.random.Generator, ranges: AnatomyRanges = TRAINING_RANGES) -> Anatomy:
    """Draw an anatomy.

    Parameters
    ----------
    rng : numpy.random.Generator
        The same state draws the same anatomy.
    ranges : AnatomyRanges

    Returns
    -------
    Anatomy
        Rootlets of C2 to T1, with discs from the top of C1 to T3/T4 and the PMJ.
    """

    def draw(name: str) -> float:
        return float(rng.uniform(*getattr(ranges, name)))

    scale = draw("scale")
    heights = np.array(VERTEBRA_LENGTH_MM) * scale * (1 + 0.04 * rng.standard_normal(len(VERTEBRA_LENGTH_MM)))
    disc_arc = 12 * scale + np.concatenate([[0.0], np.cumsum(heights)])
    discs = {value: float(arc) for value, arc in enumerate(disc_arc, start=1)}
    length = float(disc_arc[-1] + 8 * scale)
    centerline = random_course(rng, length, draw("lean_deg"), draw("bend_deg"), draw("sway_mm"))

    size = None if ranges.enlargement else _random_size(rng, discs)
    half_width, half_depth, gap = draw("half_width_mm"), draw("half_depth_mm"), draw("canal_gap_mm")
    canal = half_width + 1.6 * gap, half_depth + gap
    fila: list[Filum] = []
    settings = {
        name: draw(name) for name in ("zone_scale", "asymmetry_mm", "missing_root", "missing_filum", "exit_jitter_mm")
    }
    radius, dorsal_deg, ventral_deg = draw("filum_radius_mm"), draw("dorsal_deg"), draw("ventral_deg")
    middles = spinal_middles(discs, scale)
    drift, jitter = draw("drift_mm"), draw("level_jitter_mm")
    for value, middle in middles.items():
        name = level_name(value, "spinal")
        middle += drift + jitter * rng.standard_normal()
        for side, sign in (("left", -1), ("right", 1)):
            for kind, zones, degrees in (
                ("dorsal", DORSAL_ZONE_LENGTH_MM, dorsal_deg),
                ("ventral", VENTRAL_ZONE_LENGTH_MM, ventral_deg),
            ):
                if rng.random() < settings["missing_root"]:
                    continue
                zone = zones[name] * scale * settings["zone_scale"] * (1 + 0.08 * rng.standard_normal())
                centre = middle + settings["asymmetry_mm"] * rng.standard_normal()
                drop = (EXIT_DROP_MM[name] + settings["exit_jitter_mm"] * rng.standard_normal()) * scale
                number = round(draw(f"fila_{kind}"))
                starts = centre + zone * (np.linspace(-0.5, 0.5, number) + rng.normal(0, 0.15 / number, number))
                for start in starts[rng.random(number) >= settings["missing_filum"]]:
                    wide, deep = relative_size(size, start)
                    half_axes = half_width * float(wide), half_depth * float(deep)
                    path = _path(rng, start, centre + zone / 2 + drop, degrees, half_axes, canal)
                    path[:, 1] *= sign
                    thickness = radius * float(np.exp(0.2 * rng.standard_normal()))
                    fila.append(Filum(value, f"{side}_{kind}", path, thickness))
    pmj_mm = -18.0 * scale * float(rng.uniform(0.7, 1.3))
    return Anatomy(
        centerline=centerline.extended_to(centerline.position(pmj_mm)[0]),
        half_width_mm=half_width,
        half_depth_mm=half_depth,
        fila=tuple(fila),
        discs=discs,
        pmj_mm=pmj_mm,
        enlargement=draw("enlargement") if ranges.enlargement else 0.0,
        size=size,
        canal_half_axes_mm=canal,
    )


def _random_size(rng: np.random.Generator, discs: dict[int, float]) -> np.ndarray:
    """Draw the size of the cord relative to that at the middle of C3, as `Anatomy.size`."""
    coordinate, area, ratio = draw_section(rng)
    width, depth = np.sqrt(area * ratio), np.sqrt(area / ratio)
    arc = np.interp(coordinate, list(discs), list(discs.values()))
    return np.stack([arc, *(half / np.interp(3.5, coordinate, half) for half in (width, depth))], axis=1)


def with_thoracic(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Add rootlets of T2 and T3, like those of T1 and 14-22 mm apart: scans show them, though they are not labelled."""
    last = level_value("T1", "spinal")
    fila, shift = list(anatomy.fila), 0.0
    for value in (last + 1, last + 2):
        shift += rng.uniform(14, 22)
        for filum in anatomy.fila:
            if filum.value == last:
                down = np.array([shift + rng.normal(0, 0.5), 0, 0])
                fila.append(replace(filum, value=value, path=filum.path + down))
    return replace(anatomy, fila=tuple(fila))


def blanked(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Remove all rootlets half of the time, and otherwise all rootlets on a random stretch of 20-60 mm."""
    if rng.random() < 0.5:
        return replace(anatomy, fila=())
    starts = [filum.path[0, 0] for filum in anatomy.fila]
    middle, half = rng.uniform(min(starts), max(starts)), rng.uniform(10, 30)
    kept = tuple(filum for filum in anatomy.fila if abs(filum.path[0, 0] - middle) > half)
    return replace(anatomy, fila=kept)


def _path(
    rng: np.random.Generator,
    start: float,
    exit_arc: float,
    degrees: float,
    half_axes: tuple[float, float],
    canal: tuple[float, float],
) -> np.ndarray:
    """Draw the path of a filum of the right side, from the cord to the place where its root leaves the canal."""
    angle = np.radians(degrees + 4 * rng.standard_normal())
    begin = np.array([half_axes[0] * np.cos(angle), half_axes[1] * np.sin(angle)])
    end = np.array([canal[0] * 0.98, canal[1] * 0.15 + 0.4 * rng.standard_normal()])
    # Along the cord first, then away from it: fila fan in towards the sleeve of their root.
    share = np.array([0.0, 0.35, 0.7, 1.0])
    across = begin + share[:, None] * (end - begin)
    bulge = 0.5 * np.sin(np.pi * share) * np.sign(degrees)
    along = start + share**1.3 * (exit_arc - start)
    return np.stack([along, across[:, 0] + 0.3 * np.sin(np.pi * share), across[:, 1] + bulge], axis=1)


def random_course(
    rng: np.random.Generator, length_mm: float, lean_deg: float, bend_deg: float, sway_mm: float
) -> Centerline:
    """Draw a cord that leans, bends forward and back, and strays to the sides, each along a random cosine.

    Parameters
    ----------
    rng : numpy.random.Generator
    length_mm : float
    lean_deg, bend_deg : float
        Constant part and greatest variable part of the angle between cord and body axis.
    sway_mm : float
        Greatest distance to the sides.

    Returns
    -------
    Centerline
        From head to foot, its arc length exact, centred on the origin.
    """
    arc = np.arange(0, length_mm + 0.5, 0.5)
    waves = 2 * np.pi * arc / (length_mm * rng.uniform(0.9, 1.8))
    lean = np.radians(lean_deg + bend_deg * np.cos(waves + rng.uniform(-0.6, 0.6)))
    lateral = sway_mm * np.sin(2 * np.pi * arc / (length_mm * rng.uniform(0.8, 2.0)) + rng.uniform(0, 2 * np.pi))
    return course(arc, lean, lateral)
