"""Fit the model of the cord's thickness to healthy adults: ``python -m sct_rootlets.bundled.cord_profile -h``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sct_rootlets.cli.parsers import MANDATORY, OPTIONAL, add_misc, command_parser
from sct_rootlets.cli.run import run, say
from sct_rootlets.cord_profile import PAM50_DISCS_MM, PAM50_SLICE_MM, PROFILE_FILE

#: Vertebral coordinates of the model.
COORDINATES = np.arange(1.0, 10.51, 0.25)
#: Independent deviations that are kept.
N_FACTORS = 12


def fit_profile(table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit a Gaussian to the logarithms of area and of RL over AP diameter by vertebral coordinate.

    Parameters
    ----------
    table : mapping of str to numpy.ndarray
        ``area`` (mm²), ``ap`` and ``rl`` (mm), shape (subjects, slices), at the slices ``slice_z`` of PAM50, 0.5 mm
        each.

    Returns
    -------
    dict of str to numpy.ndarray
        ``coordinate``, shape (N,); ``mean``, shape (2, N); ``factor``, shape (2 N, `N_FACTORS`), whose product with
        its transpose is the covariance.
    """
    height = table["slice_z"] * PAM50_SLICE_MM
    discs = np.arange(1, len(PAM50_DISCS_MM) + 1)
    coordinate = np.interp(-height, -np.array(PAM50_DISCS_MM), discs)
    order = np.argsort(coordinate)
    area, ap, rl = (table[name].astype(float) for name in ("area", "ap", "rl"))
    features = []
    for values in (np.log(area), np.log(rl / ap)):
        features.append([np.interp(COORDINATES, coordinate[order], person[order]) for person in values])
    people = np.stack(features, axis=1)  # people, features, coordinates
    people = people[np.isfinite(people).all(axis=(1, 2))]
    mean = people.mean(axis=0)
    deviations = (people - mean).reshape(len(people), -1) / np.sqrt(len(people) - 1)
    _, sizes, directions = np.linalg.svd(deviations, full_matrices=False)
    factor = (directions[:N_FACTORS] * sizes[:N_FACTORS, None]).T
    return {
        "coordinate": COORDINATES.astype(np.float32),
        "mean": mean.astype(np.float32),
        "factor": factor.astype(np.float32),
    }


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser(
        "python -m sct_rootlets.bundled.cord_profile",
        "Fit the model of the cord's thickness along the vertebrae to the sections of healthy adults.",
        "  python -m sct_rootlets.bundled.cord_profile -table cord_203_healthy.npz",
    )
    parser.add_argument_group(MANDATORY).add_argument(
        "-table", required=True, metavar="<file>", help=".npz with slice_z, area, ap and rl by person and slice"
    )
    parser.add_argument_group(OPTIONAL).add_argument(
        "-o", metavar="<file>", default=os.fspath(PROFILE_FILE), help="where to (default: into the package)"
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    with np.load(arguments.table) as table:
        profile = fit_profile(table)
    np.savez(Path(arguments.o), **profile)  # type: ignore[arg-type]
    if arguments.v:
        say(f"written: {arguments.o}")


if __name__ == "__main__":
    sys.exit(main())
