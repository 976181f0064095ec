"""Contrasts of synthetic scans: how bright each tissue is, in T2w TSE or T2*w at 3T, MP2RAGE at 7T, or at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Tissue(IntEnum):
    """What a voxel is made of."""

    MUSCLE = 0
    FAT = 1
    CORTEX = 2
    MARROW = 3
    DISC = 4
    LIGAMENT = 5
    CSF = 6
    WHITE = 7
    GREY = 8
    ROOTLET = 9
    AIR = 10


# T1 and T2 in ms and proton density at 3T. Cord: Smith 2008 (Magn Reson Med 60:213); nerve (optic), muscle:
# Stanisz 2005 (Magn Reson Med 54:507); fat, marrow: Gold 2004 (AJR 183:343), de Bazelaire 2004 (Radiology 230:652);
# CSF: Rooney 2007 (Magn Reson Med 57:308) for T1. Cortical bone and ligament hardly show at these echo times.
_T1_T2_DENSITY_AT_3T = {
    Tissue.MUSCLE: (1412, 50, 0.8),
    Tissue.FAT: (371, 133, 0.9),
    Tissue.CORTEX: (800, 5, 0.2),
    Tissue.MARROW: (586, 49, 0.7),
    Tissue.DISC: (1000, 70, 0.8),
    Tissue.LIGAMENT: (900, 10, 0.4),
    Tissue.CSF: (4300, 1500, 1.0),
    Tissue.WHITE: (860, 73, 0.7),
    Tissue.GREY: (980, 76, 0.8),
    Tissue.ROOTLET: (1083, 78, 0.75),
    Tissue.AIR: (1000, 1, 0.0),
}
# T2 of muscle in volunteers at 3T (Gold 2004); that of Stanisz 2005 is of excised muscle, and makes it too bright.
_MUSCLE_T2_MS = 32
# T2* in ms at 3T: assumptions, with which fluid is as bright as in axial T2*w scans of people (1.1 to 2.3 times the
# cord in eight scans of the gray matter challenge and of scad).
_T2_STAR_MS_AT_3T = {
    Tissue.MUSCLE: 25,
    Tissue.FAT: 18,
    Tissue.CORTEX: 1,
    Tissue.MARROW: 8,
    Tissue.DISC: 30,
    Tissue.LIGAMENT: 5,
    Tissue.CSF: 400,
    Tissue.WHITE: 45,
    Tissue.GREY: 50,
    Tissue.ROOTLET: 45,
    Tissue.AIR: 1,
}
# T1 in ms at 7T. Cord: about that of Massire 2016 (NeuroImage 143:58); the others are scaled from 3T.
_T1_MS_AT_7T = {
    Tissue.MUSCLE: 1650,
    Tissue.FAT: 550,
    Tissue.CORTEX: 900,
    Tissue.MARROW: 750,
    Tissue.DISC: 1300,
    Tissue.LIGAMENT: 1100,
    Tissue.CSF: 4400,
    Tissue.WHITE: 1080,
    Tissue.GREY: 1180,
    Tissue.ROOTLET: 1250,
    Tissue.AIR: 1000,
}


def t2w_signal(
    repetition_ms: float, echo_ms: float, restored: bool = False, muscle_t2_ms: float | None = None
) -> np.ndarray:
    """Compute the signal of each tissue in a T2w turbo spin echo at 3T, shape (len(Tissue),).

    Parameters
    ----------
    repetition_ms, echo_ms : float
        Repetition time and effective echo time.
    restored : bool
        Whether the magnetisation left at the end of the train is flipped back (driven equilibrium), assumed complete;
        fluid is then much brighter than all other tissues.
    muscle_t2_ms : float, optional
        By default, that of excised muscle (Stanisz 2005), 50 ms.
    """
    t1, t2, density = np.array([_T1_T2_DENSITY_AT_3T[tissue] for tissue in Tissue]).T
    if muscle_t2_ms is not None:
        t2[Tissue.MUSCLE] = muscle_t2_ms
    recovered = 1.0 if restored else 1 - np.exp(-repetition_ms / t1)
    return density * recovered * np.exp(-echo_ms / t2)


def t2star_signal(repetition_ms: float, echo_ms: float, flip_deg: float) -> np.ndarray:
    """Compute the signal of each tissue in a spoiled gradient echo at 3T, shape (len(Tissue),).

    Parameters
    ----------
    repetition_ms, echo_ms : float
        Repetition time, and echo time or mean of the echo times that are combined.
    flip_deg : float
        Flip angle.
    """
    t1, _, density = np.array([_T1_T2_DENSITY_AT_3T[tissue] for tissue in Tissue]).T
    t2_star = np.array([_T2_STAR_MS_AT_3T[tissue] for tissue in Tissue], dtype=float)
    e1, flip = np.exp(-repetition_ms / t1), np.radians(flip_deg)
    return density * np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1) * np.exp(-echo_ms / t2_star)


def mp2rage_signal(
    repetition_ms: float = 5000,
    inversion_ms: tuple[float, float] = (700, 2400),
    flip_deg: tuple[float, float] = (4, 5),
    echo_spacing_ms: float = 6.9,
    excitations: int = 150,
    efficiency: float = 0.96,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the signed signals of each tissue in the two images of an MP2RAGE at 7T, shape (len(Tissue),) each.

    The steady state of Marques 2010 (NeuroImage 49:1271, doi 10.1016/j.neuroimage.2009.10.002), eqs. 1-3, without T2*.

    Parameters
    ----------
    repetition_ms : float
        Time from inversion to inversion.
    inversion_ms : (float, float)
        Times from the inversion to the middle of each readout.
    flip_deg : (float, float)
        Flip angle of each readout.
    echo_spacing_ms : float
        Repetition time within a readout.
    excitations : int
        Number of excitations in each readout.
    efficiency : float
        Efficiency of the inversion.

    Raises
    ------
    ValueError
        If the readouts overlap or do not fit into the repetition time.
    """
    t1 = np.array([_T1_MS_AT_7T[tissue] for tissue in Tissue], dtype=float)
    density = np.array([_T1_T2_DENSITY_AT_3T[tissue][2] for tissue in Tissue])
    readout = excitations * echo_spacing_ms
    before, between, after = (
        inversion_ms[0] - readout / 2,
        inversion_ms[1] - inversion_ms[0] - readout,
        repetition_ms - inversion_ms[1] - readout / 2,
    )
    if min(before, between, after) < 0:
        raise ValueError("the readouts of the MP2RAGE do not fit between its inversions")
    e1, ea, eb, ec = (np.exp(-time / t1) for time in (echo_spacing_ms, before, between, after))
    first, second = (np.cos(np.radians(flip)) * e1 for flip in flip_deg)

    def excited(start: np.ndarray, factor: np.ndarray, times: float) -> np.ndarray:
        """Longitudinal magnetisation after a train of excitations."""
        return start * factor**times + (1 - e1) * (1 - factor**times) / (1 - factor)

    steady = excited(1 - ea, first, excitations)
    steady = excited(steady * eb + 1 - eb, second, excitations)
    steady = steady * ec + 1 - ec
    cosines = np.cos(np.radians(flip_deg[0])) * np.cos(np.radians(flip_deg[1]))
    steady /= 1 + efficiency * cosines**excitations * np.exp(-repetition_ms / t1)
    one = np.sin(np.radians(flip_deg[0])) * excited(-efficiency * steady * ea + 1 - ea, first, excitations / 2 - 1)
    back = second ** (-excitations / 2)
    two = np.sin(np.radians(flip_deg[1])) * ((steady - (1 - ec)) / ec * back - (1 - e1) * (back - 1) / (1 - second))
    return density * one, density * two


def t2w_signals(rng: np.random.Generator) -> np.ndarray:
    """Draw a T2w turbo spin echo, with driven equilibrium in 60 % of scans; shape (len(Tissue),)."""
    return t2w_signal(rng.uniform(1400, 3000), rng.uniform(80, 140), restored=bool(rng.random() < 0.6))


def t2w_3d_signals(rng: np.random.Generator) -> np.ndarray:
    """Draw a 3D T2w turbo spin echo as the cord is imaged with today; shape (len(Tissue),).

    Its magnetisation is restored after each train of echoes, so that fluid is bright: 3.1 to 5.7 times the cord in
    scans of seven people (`python benchmarks/segmentation.py cords`). Trains of low, variable flip angles weight like a
    shorter echo time than the nominal one.
    """
    return t2w_signal(1500, rng.uniform(75, 115), restored=True, muscle_t2_ms=_MUSCLE_T2_MS)


def t2star_signals(rng: np.random.Generator) -> np.ndarray:
    """Draw a T2*w gradient echo; shape (len(Tissue),)."""
    return t2star_signal(rng.uniform(500, 1000), rng.uniform(12, 20), rng.uniform(8, 22))


def mp2rage_signals(rng: np.random.Generator) -> np.ndarray:
    """Draw an MP2RAGE; signed signals of INV1 and INV2, shape (2, len(Tissue))."""
    return np.stack(
        mp2rage_signal(
            inversion_ms=(rng.uniform(600, 900), rng.uniform(2200, 2800)),
            flip_deg=(rng.uniform(3.5, 6), rng.uniform(3.5, 6)),
        )
    )


def random_signals(rng: np.random.Generator) -> np.ndarray:
    """Draw any brightness for any tissue; rootlets and cord differ visibly from the fluid around them."""
    signal = rng.uniform(0, 1, len(Tissue))
    away = np.sign(rng.standard_normal()) * rng.uniform(0.25, 0.8)
    fluid = signal[Tissue.CSF] = rng.uniform(max(0, away), 1 + min(0, away))
    signal[Tissue.WHITE] = fluid - away
    signal[Tissue.GREY] = signal[Tissue.WHITE] + rng.normal(0, 0.06)
    signal[Tissue.ROOTLET] = signal[Tissue.WHITE] + rng.normal(0, 0.08)
    signal[Tissue.AIR] = 0
    return np.clip(signal, 0, 1)


def magnitude(image: torch.Tensor) -> torch.Tensor:
    """Return the magnitude of one signed image, as scanners reconstruct it."""
    return image.abs()


def unchanged(image: torch.Tensor) -> torch.Tensor:
    """Return one image as it is."""
    return image


def combine_mp2rage(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Combine the two images of an MP2RAGE into UNIT1 (Marques 2010, eq. 3), between -0.5 and 0.5."""
    return first * second / (first**2 + second**2 + 1e-6)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How the scans of one contrast are made.

    Attributes
    ----------
    share : float
        Frequency of the contrast among the training scans, relative to the sum over all contrasts.
    signals : callable
        Draws the settings of the scanner; returns the signal of each tissue in each image that is acquired, shape
        (len(Tissue),) or (number of images, len(Tissue)).
    tissue_log_sd : float
        Standard deviation of the logarithm of each tissue's signal between scans. Varied signals are scaled so that
        the strongest is 1; with 0, signals stay as ``signals`` draws them.
    combine : callable
        Makes the final image from the acquired images, one argument each.
    """

    share: float
    signals: Callable[[np.random.Generator], np.ndarray]
    tissue_log_sd: float = 0.12
    combine: Callable[..., torch.Tensor] = magnitude

    def draw_signals(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the signals of the tissues in one scan, scanner settings and tissues varied at random.

        Parameters
        ----------
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray, shape (number of images, len(Tissue))
            At most 1 in magnitude.
        """
        signals = np.atleast_2d(self.signals(rng))
        if not self.tissue_log_sd:
            return signals
        signals = signals * np.exp(self.tissue_log_sd * rng.standard_normal(len(Tissue)))
        return signals / np.abs(signals).max()


#: The contrasts of synthetic scans by name; most of the training scans follow the physics of a scanner.
PROTOCOLS = {
    "T2w": Protocol(share=0.1, signals=t2w_signals),
    "T2w_3D": Protocol(share=0.25, signals=t2w_3d_signals),
    "T2starw": Protocol(share=0.1, signals=t2star_signals),
    "INV1": Protocol(share=0.1, signals=lambda rng: mp2rage_signals(rng)[0], tissue_log_sd=0.08),
    "INV2": Protocol(share=0.1, signals=lambda rng: mp2rage_signals(rng)[1], tissue_log_sd=0.08),
    "UNIT1": Protocol(share=0.1, signals=mp2rage_signals, tissue_log_sd=0.08, combine=combine_mp2rage),
    "random": Protocol(share=0.25, signals=random_signals, tissue_log_sd=0, combine=unchanged),
}


def random_contrast(rng: np.random.Generator) -> str:
    """Draw the name of a contrast in `PROTOCOLS`, each as often as its share says."""
    shares = np.array([protocol.share for protocol in PROTOCOLS.values()])
    return str(rng.choice(list(PROTOCOLS), p=shares / shares.sum()))
