"""Roots of a phantom's rootlets against the tubes that they were drawn from."""

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial import cKDTree

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.image import as_axial, labelled_voxels
from sct_rootlets.levels import ROOTS
from sct_rootlets.nifti import load_volume
from sct_rootlets.roots import root_counts, split_roots


@pytest.fixture(scope="module")
def split(phantom):
    """Voxels of the phantom's rootlets, their roots as found, and their true roots."""
    ijk, values = labelled_voxels(phantom.rootlets)
    points = apply_affine(phantom.rootlets.affine, ijk)
    line = phantom.anatomy.centerline
    place = line.project(points)
    _, right, anterior = line.frame(place.arc)
    offset = points - place.foot
    at = np.stack([place.arc, np.einsum("ij,ij->i", offset, right), np.einsum("ij,ij->i", offset, anterior)], axis=1)
    true = np.full(len(at), -1)
    distance = np.full(len(at), np.inf)
    for filum in phantom.anatomy.fila:
        along = np.linspace(0, len(filum.path) - 1, 300)
        path = np.stack([np.interp(along, np.arange(len(filum.path)), axis) for axis in filum.path.T], axis=1)
        away = np.where(values == filum.value, cKDTree(path).query(at)[0], np.inf)
        closer = away < distance
        true[closer], distance[closer] = ROOTS.index(filum.root), away[closer]
    cord_mm = apply_affine(phantom.cord.affine, np.argwhere(phantom.cord.data > 0))
    found = split_roots(
        ijk, values, phantom.rootlets.affine, cord_mm, fit_centerline(phantom.cord.data > 0, phantom.cord.affine)
    )
    return found, true


def test_roots_are_those_of_the_tubes(split):
    found, true = split
    assert (true >= 0).all()
    assert np.mean(found.root == true) > 0.95
    assert np.mean((found.root % 2) == (true % 2)) > 0.995  # left and right


def test_wrong_voxels_are_mostly_ambiguous_ones(split):
    found, true = split
    clear = ~found.is_ambiguous
    assert np.mean(found.root[clear] == true[clear]) > np.mean(found.root == true) - 1e-9
    assert np.mean(clear) > 0.7


def test_every_level_has_four_roots_and_all_voxels_count(split):
    found, _ = split
    rows = root_counts(found)
    assert sum(row["n_voxels"] for row in rows) == len(found.values)
    assert all(row["n_voxels"] > 0 for row in rows)
    assert len(rows) == 4 * len(np.unique(found.values))


@pytest.mark.real_data
def test_roots_of_pam50_are_its_pieces(real_data):
    """In the template, the dorsal and the ventral root of a side are pieces of their own, the ventral one in front."""
    rootlets, cord = (
        as_axial(load_volume(real_data / "PAM50" / f"PAM50_{name}.nii.gz")) for name in ("rootlets", "cord")
    )
    ijk, values = labelled_voxels(rootlets)
    middle = np.argwhere(cord.data > 0)[:, 0].mean()
    true = np.full(len(ijk), -1)
    for value in np.unique(values):
        for side, is_side in enumerate((ijk[:, 0] > middle, ijk[:, 0] < middle)):  # axes run to the left
            own = np.flatnonzero((values == value) & is_side)
            part = np.zeros(rootlets.data.shape, dtype=bool)
            part[tuple(ijk[own].T)] = True
            pieces, _ = ndimage.label(part, np.ones((3, 3, 3)))
            found = pieces[tuple(ijk[own].T)]
            two = np.argsort(np.bincount(found)[1:])[-2:] + 1
            if len(two) == 2:
                dorsal, ventral = sorted(two, key=lambda piece: ijk[own][found == piece][:, 1].mean())
                true[own[found == dorsal]], true[own[found == ventral]] = side, side + 2
    known = true >= 0
    assert known.mean() > 0.9
    cord_mm = apply_affine(cord.affine, np.argwhere(cord.data > 0.5))
    split = split_roots(ijk, values, rootlets.affine, cord_mm, fit_centerline(cord.data > 0.5, cord.affine))
    assert np.mean(split.root[known] == true[known]) > 0.95
