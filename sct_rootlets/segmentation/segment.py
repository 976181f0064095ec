"""From an image to its cord, its rootlets, and their spinal levels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.cord_profile import Moments, compare_numberings, measure_moments
from sct_rootlets.correspondence import LEVEL_PITCH_MM
from sct_rootlets.errors import LabelError, NoCordError
from sct_rootlets.image import Volume, labelled_voxels, values_at
from sct_rootlets.levels import ABOVE_C2, BELOW_T1, N_NAMES, Level, Levels, disc_name
from sct_rootlets.models.model import Model
from sct_rootlets.models.weights import Weights
from sct_rootlets.segmentation.assign import assign_levels
from sct_rootlets.segmentation.border import cut, find_content, uncut
from sct_rootlets.segmentation.contrast import is_like_t2w
from sct_rootlets.segmentation.cord import CoarseCord, find_cord, no_cord
from sct_rootlets.segmentation.decode import Division, Unnamed, decode_levels
from sct_rootlets.segmentation.disc_tips import with_tips
from sct_rootlets.segmentation.evidence import (
    CELL_MM,
    cell_centers,
    evidence_from_discs,
    evidence_from_rootlets,
    root_presence,
    rootlets_near_cord,
)
from sct_rootlets.segmentation.grid import orient
from sct_rootlets.segmentation.numbering import (
    MIN_PROBABILITY,
    Numbering,
    all_discs,
    combine,
    evidence_of_names,
    find_discs,
)
from sct_rootlets.segmentation.outliers import without_absurd_voxels
from sct_rootlets.segmentation.own_labels import (
    RootletModel,
    judge_names,
    levels_of_labels,
    line_of_rootlets,
    roots_of_labels,
)
from sct_rootlets.segmentation.prediction import (
    CORD_THRESHOLD,
    Prediction,
    clean_cord,
    predict_rootlets,
    replace_rootlets,
)
from sct_rootlets.segmentation.straight import VERTEBRA_BINS, Spine, predict_spine
from sct_rootlets.segmentation.tiles import Precision
from sct_rootlets.segmentation.vertebral_path import find_paths
from sct_rootlets.spinal import measure_turn, turn_to_rootlets
from sct_rootlets.vertebral import CONTRADICTED_CONFIDENCE, Disc, VertebralNumbering, place_discs

if TYPE_CHECKING:
    import pandas as pd

_LOGGER = logging.getLogger(__name__)

#: Voxels of a higher probability are rootlets: chosen on synthetic scans of the training population.
ROOTLET_THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Cord and rootlets of an image, on its grid.

    Attributes
    ----------
    rootlets : numpy.ndarray of uint8, shape (I, J, K)
        Level of each rootlet voxel: 2 for C2 … 9 for T1.
    roots : numpy.ndarray of uint8, shape (I, J, K)
        Root of each rootlet voxel: 1 + the index into `sct_rootlets.levels.ROOTS`.
    cord : numpy.ndarray of bool, shape (I, J, K)
    centerline : Centerline, optional
        Centerline of the cord; None only where another model of rootlets ran and no cord was found.
    spinal : Levels
        The spinal levels that were found, with confidence and uncertainty, where their rootlets attach.
    name_sources : tuple of str
        Sources of evidence that decided the names; ``"discs"`` only if the names would be others without discs,
        ``"model"`` if another model of rootlets did.
    notes : tuple of str
        What a user should know, one line each.
    numbering : VertebralNumbering, optional
        How sure the numbers of the vertebrae beside the cord are.
    discs : tuple of Disc
        Discs in view, given or found in the image, with their posterior tips.
    """

    rootlets: np.ndarray
    roots: np.ndarray
    cord: np.ndarray
    centerline: Centerline | None
    spinal: Levels
    name_sources: tuple[str, ...]
    notes: tuple[str, ...]
    numbering: VertebralNumbering | None = None
    discs: tuple[Disc, ...] = ()

    def __repr__(self) -> str:
        """The levels as a small table below a line about the whole; no arrays."""
        return f"{self._heading}\n{self._summary_table().to_string(index=False)}"

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return f"<p>{self._heading}</p>\n{self._summary_table().to_html(index=False, border=0)}"

    @property
    def _heading(self) -> str:
        n_rootlets, n_cord = np.count_nonzero(self.rootlets), np.count_nonzero(self.cord)
        return f"Segmentation: {n_rootlets} voxels of rootlets, {n_cord} of the cord; levels in mm from its top"

    def _summary_table(self) -> pd.DataFrame:
        """Return the table of levels with rounded numbers."""
        columns = {"name": "level", "rostral_mm": "rostral", "caudal_mm": "caudal", "confidence": "confidence"}
        decimals = {"rostral": 1, "caudal": 1, "confidence": 2}
        return self.levels[list(columns)].rename(columns=columns).round(decimals)

    @property
    def levels(self) -> pd.DataFrame:
        """The spinal levels as a table, one row a level; positions in mm along the cord, from its top."""
        import pandas as pd

        columns = ("name", "rostral_mm", "caudal_mm", "midpoint_mm", "length_mm", "rostral_sd_mm", "caudal_sd_mm")
        rows = [
            {"level": level.value, **{name: getattr(level, name) for name in columns}, "confidence": level.confidence}
            for level in self.spinal.levels
        ]
        return pd.DataFrame(rows, columns=["level", *columns, "confidence"])


@dataclass(frozen=True, kw_only=True)
class _Labels:
    """What of a segmentation depends on who names the rootlets; see `Segmentation`."""

    rootlets: np.ndarray
    roots: np.ndarray
    spinal: Levels
    name_sources: tuple[str, ...]
    notes: Sequence[str]


class Segmenter:
    """Networks that are loaded once and run on any number of images.

    Parameters
    ----------
    overview : Model
        Network of the cord, on coarse isotropic voxels.
    names : sequence of Model
        Networks of the names of segments and of vertebrae, on the straightened spine; they are averaged.
    rootlets : Model
        Network of rootlets, with heads ``cord`` and ``roots``.
    rootlet_model : RootletModel, optional
        Another model, from which rootlets come; the cord does not.
    device : str or torch.device
    weights : Weights, optional
        The model of rootlets on disk, for sidecars.
    precision : {"float32", "bfloat16"}
        Number format of the rootlet networks on a CPU.
    """

    def __init__(
        self,
        overview: Model,
        names: Sequence[Model],
        rootlets: Model,
        rootlet_model: RootletModel | None = None,
        device: str | torch.device = "cpu",
        weights: Weights | None = None,
        precision: Precision = "float32",
    ) -> None:
        self.overview, self.names, self.rootlets = overview, names, rootlets
        self.rootlet_model, self.device, self.weights = rootlet_model, device, weights
        self.precision = precision

    def __call__(
        self,
        volume: Volume,
        discs: dict[int, np.ndarray] | None = None,
        mirror: bool = False,
        cord_mask: np.ndarray | None = None,
    ) -> Segmentation:
        """Segment cord and rootlets of an image, and name the levels.

        Parameters
        ----------
        volume : Volume
            The scan, in any axis order.
        discs : dict of int to numpy.ndarray, optional
            Position of each disc, RAS+ mm, by value. Discs take part in choosing names, and do not move levels.
        mirror : bool
            Average with the prediction for the image mirrored from left to right (test-time augmentation).
        cord_mask : numpy.ndarray of bool, shape (I, J, K), optional
            The cord on the voxels of the image, in place of the one that the networks find. Centerline, rootlets and
            levels are those along this cord.

        Raises
        ------
        ImageError
            If there is no cord in the image; with a model that keeps its own names, labels are then those of the whole
            field of view, and there are no levels.
        LabelError
            If the cord mask is no cord: see `fit_centerline`.
        """
        original, model = volume, self.rootlet_model
        volume, notes = without_absurd_voxels(volume)
        given = None if cord_mask is None else fit_centerline(cord_mask, volume.affine)
        whole, whole_mask, box = volume.data.shape, cord_mask, find_content(volume.data)
        volume = cut(volume, box)
        cord_mask = None if cord_mask is None else cord_mask[box]
        try:
            _LOGGER.info("finding the cord")
            coarse = find_cord(self.overview, volume, self.device, given)
            line = coarse.centerline
            _LOGGER.info("segmenting cord and rootlets")
            prediction = predict_rootlets(volume, self.rootlets, line, mirror, self.device, self.precision)
            if model is not None and not model.keeps_names:
                prediction = replace_rootlets(
                    prediction, volume, model.network, line, mirror, self.device, self.precision
                )
                if model.network.margins_mm is not None:
                    notes.append(
                        "the model was trained on images cropped around the cord, and saw this one whole (-names chain)"
                    )
            if cord_mask is None or given is None:
                cord = clean_cord(prediction, line)
                try:
                    centerline = fit_centerline(cord, prediction.affine)
                except (LabelError, ValueError) as error:
                    raise NoCordError(no_cord(volume)) from error
        except NoCordError as error:
            if model is None or not model.keeps_names:
                raise
            return self._without_cord(original, model, mirror, [*notes, str(error)])
        if cord_mask is not None and given is not None:
            cord, centerline = _resample_mask(cord_mask, volume, prediction), given
        turn_deg = turn_of_rootlets(prediction, centerline)
        line, centerline = (replace(one, turn_deg=turn_deg) for one in (line, centerline))
        _LOGGER.info("finding the discs and naming the levels")
        spine = predict_spine(self.names, coarse.data, coarse.affine, line, self.device)
        named = name_levels(prediction, cord, centerline, coarse, spine, discs)
        oriented = resample_cord(prediction, cord, self._oriented(cord_mask, volume))
        seen_cord = prediction.oriented.restore(oriented) if cord_mask is None else cord_mask
        whole_cord = uncut(seen_cord, box, whole) if whole_mask is None else whole_mask
        numbering, contrast_notes = judge_numbering(
            named.numbering, volume, seen_cord, cells_of(centerline), named.by_image if discs else None
        )
        if model is not None and model.keeps_names:
            del prediction  # a large network needs the memory
            labels = self._own_labels(model, original, whole_cord, centerline, named, mirror)
        else:
            rootlets, roots = resample_rootlets(prediction, oriented, centerline, named.levels)
            levels = named.levels if rootlets.any() else ()
            labels = _Labels(
                rootlets=uncut(rootlets, box, whole),
                roots=uncut(roots, box, whole),
                spinal=Levels("spinal", "attachment", levels),
                name_sources=named.name_sources,
                notes=naming_notes(named, volume.name, bool(levels)),
            )
        return Segmentation(
            rootlets=labels.rootlets,
            roots=labels.roots,
            cord=whole_cord,
            centerline=centerline,
            spinal=_limited(labels.spinal, named.numbering, numbering),
            numbering=numbering,
            discs=with_tips(volume, centerline, named.discs, discs),
            name_sources=labels.name_sources,
            notes=(*notes, *labels.notes, *contrast_notes),
        )

    def _own_labels(
        self,
        model: RootletModel,
        image: Volume,
        cord: np.ndarray,
        centerline: Centerline,
        named: Named,
        mirror: bool,
    ) -> _Labels:
        """Take the labels of another model as it has them, and judge them by vertebrae and cord."""
        cells = cell_centers(len(named.numbering.paths[0].coordinate))
        around = line_of_rootlets(centerline, cells, named.numbering)
        rootlets = model.predict(image, cord, around, mirror, self.device, self.precision)
        levels, notes = levels_of_labels(rootlets, cord, image, centerline)
        judged, name_notes = judge_names(levels, cells, named.numbering, by_discs=named.has_discs)
        notes += name_notes or numbering_notes(named.numbering, named.numbering)
        if named.numbering.contradicts(named.by_image):
            notes.append(disagreement_of_discs(named.by_image))
        if model.network.margins_mm is not None:
            notes.append("the model was trained on images cropped around the cord, and saw this one so")
        if not rootlets.any():
            notes.append(f"no rootlets were found in {image.name}")
        return _Labels(
            rootlets=rootlets,
            roots=roots_of_labels(rootlets, cord, image.affine, centerline),
            spinal=judged,
            name_sources=("model",),
            notes=notes,
        )

    def _without_cord(self, volume: Volume, model: RootletModel, mirror: bool, notes: Sequence[str]) -> Segmentation:
        """Take the labels of another model over the whole field of view, where no cord was found."""
        labels = model.predict(volume, None, None, mirror, self.device, self.precision)
        uncertain = (
            "its labels are those of the whole field of view, and nothing was judged by the cord and the vertebrae"
        )
        return Segmentation(
            rootlets=labels,
            roots=np.zeros_like(labels),
            cord=np.zeros(labels.shape, dtype=bool),
            centerline=None,
            spinal=Levels("spinal", "extent", ()),
            name_sources=("model",),
            notes=(*notes, uncertain),
        )

    def find_discs(
        self,
        volume: Volume,
        cord_mask: np.ndarray,
        discs: dict[int, np.ndarray] | None = None,
        rootlets: Volume | None = None,
    ) -> tuple[tuple[Disc, ...], VertebralNumbering, list[str]]:
        """Find the discs beside a cord that is known.

        Parameters
        ----------
        volume : Volume
        cord_mask : numpy.ndarray of bool, shape (I, J, K)
            On the voxels of the image.
        discs : dict of int to numpy.ndarray, optional
            Discs that are given, RAS+ mm by value: they fix the numbers.
        rootlets : Volume, optional
            Rootlet map: it shows whether the cord is turned about its long axis.

        Returns
        -------
        discs : tuple of Disc
        numbering : VertebralNumbering
        notes : list of str

        Raises
        ------
        ImageError
            If the image shows nothing.
        LabelError
            If the cord mask is no cord.
        """
        volume, notes = without_absurd_voxels(volume)
        line = fit_centerline(cord_mask, volume.affine)
        if rootlets is not None:
            ijk, values = labelled_voxels(rootlets)
            line = turn_to_rootlets(line, apply_affine(rootlets.affine, ijk), values)
        content = cut(volume, find_content(volume.data))
        coarse = find_cord(self.overview, content, self.device, line)
        spine = predict_spine(self.names, coarse.data, coarse.affine, line, self.device)
        cells = cells_of(line)
        numbering = number_vertebrae(cells, cells, spine, measure_moments(cord_mask, volume.affine, line, len(cells)))
        chosen, found = _choose(cells, numbering, line, volume.affine, discs)
        if chosen.contradicts(numbering):
            notes.append(disagreement_of_discs(numbering))
        else:
            notes += numbering_notes(chosen, numbering)
        summary, contrast_notes = judge_numbering(chosen, volume, cord_mask, cells, numbering if discs else None)
        return with_tips(volume, line, found, discs), summary, [*notes, *contrast_notes]

    def _oriented(self, mask: np.ndarray | None, volume: Volume) -> np.ndarray | None:
        """Bring a mask on the voxels of the image to the axes of the network of rootlets."""
        if mask is None:
            return None
        return orient(replace(volume, data=mask), self.rootlets.orientation, self.rootlets.permutation).data


def turn_of_rootlets(prediction: Prediction, line: Centerline) -> float:
    """Measure by how much a cord is turned about its long axis, before its levels are named (`measure_turn`).

    Parameters
    ----------
    prediction : Prediction
    line : Centerline

    Returns
    -------
    float
        Degrees.
    """
    points = apply_affine(prediction.affine, np.argwhere(prediction.rootlet > ROOTLET_THRESHOLD))
    if not len(points):
        return 0.0
    place, right_mm, anterior_mm = line.across(points)
    return measure_turn(right_mm, anterior_mm, np.floor(place.arc / LEVEL_PITCH_MM).astype(int))


def _resample_mask(mask: np.ndarray, volume: Volume, prediction: Prediction) -> np.ndarray:
    """Bring a mask on the voxels of the image to the voxels of a prediction."""
    points = apply_affine(prediction.affine, np.moveaxis(np.indices(prediction.cord.shape), 0, -1))
    return values_at(mask, volume.affine, points) >= 0.5


@dataclass(frozen=True)
class Named:
    """The levels of a cord, and the vertebrae beside it.

    Attributes
    ----------
    levels : tuple of Level
        Spinal levels from rostral to caudal; their confidence covers all numberings.
    unnamed : tuple of Unnamed
        Where roots attach above C2 and below T1.
    numbering, by_image : Numbering
        As it was chosen, and as the image alone suggests it.
    discs : tuple of Disc
        In view, from rostral to caudal.
    has_discs : bool
        Whether discs that were given fix the numbering.
    """

    levels: tuple[Level, ...]
    unnamed: tuple[Unnamed, ...]
    numbering: Numbering
    by_image: Numbering
    discs: tuple[Disc, ...]
    has_discs: bool

    @property
    def name_sources(self) -> tuple[str, ...]:
        """Sources of evidence that decided the names: see `Segmentation.name_sources`."""
        return ("discs",) if self.numbering.contradicts(self.by_image) else tuple(self.numbering.evidence)


def name_levels(
    prediction: Prediction,
    cord: np.ndarray,
    centerline: Centerline,
    coarse: CoarseCord,
    spine: Spine,
    discs: dict[int, np.ndarray] | None = None,
) -> Named:
    """Find where the roots of each level attach along the cord, and number the vertebrae beside it.

    Parameters
    ----------
    prediction : Prediction
    cord : numpy.ndarray of bool, shape (I, J, K)
        Cord mask on the voxels of the prediction.
    centerline : Centerline
        Centerline of that mask.
    coarse : CoarseCord
        The cord as it was found coarsely.
    spine : Spine
        What is seen along that coarse cord.
    discs : dict of int to numpy.ndarray, optional
        Position of each disc, RAS+ mm, by value: they fix the numbering.
    """
    near = rootlets_near_cord(prediction, cord, centerline)
    presence = root_presence(prediction, near)
    cells = cell_centers(near.n_cells)
    along = coarse.centerline.project(centerline.position(cells)).arc
    moments = measure_moments(cord, prediction.affine, centerline, near.n_cells)
    rootlets = evidence_from_rootlets(prediction, near).log_probability
    numbering = number_vertebrae(cells, along, spine, moments, (rootlets, presence))
    chosen, found = _choose(cells, numbering, centerline, prediction.affine, discs)
    division = divide_cord(presence, cells, chosen)
    return Named(
        levels=division.levels,
        unnamed=division.unnamed,
        numbering=chosen,
        by_image=numbering,
        discs=found,
        has_discs=bool(discs),
    )


def number_vertebrae(
    cells: np.ndarray,
    along: np.ndarray,
    spine: Spine,
    moments: Moments,
    rootlets: tuple[np.ndarray, np.ndarray] | None = None,
) -> Numbering:
    """Weigh all kinds of evidence for the numbers of vertebrae.

    Parameters
    ----------
    cells : numpy.ndarray, shape (N,)
        Places along the cord.
    along : numpy.ndarray, shape (N,)
        The same places along the line of `spine`.
    spine : Spine
    moments : Moments
        Of the cord's cross-sections.
    rootlets : (numpy.ndarray, numpy.ndarray), optional
        Names that a network sees in the rootlets at each place, shape (N, N_NAMES), and presence of rootlets.
    """
    paths = [path.at(spine.arc, along) for path in find_paths(spine.arc, spine.vertebrae, VERTEBRA_BINS)]
    segments = np.full((len(cells), N_NAMES), -np.inf)
    for value in range(ABOVE_C2, N_NAMES):
        segments[:, value] = np.interp(along, spine.arc, spine.names[:, value])
    evidence = {
        "vertebrae": np.array([path.log_evidence for path in paths]),
        "thickness": compare_numberings(moments, [path.coordinate for path in paths]),
        "segments": evidence_of_names(cells, segments, np.ones(len(cells)), paths),
    }
    if rootlets is not None:
        evidence["rootlets"] = evidence_of_names(cells, *rootlets, paths)
    return combine(paths, evidence)


def _choose(
    cells: np.ndarray,
    numbering: Numbering,
    line: Centerline,
    affine: np.ndarray,
    discs: dict[int, np.ndarray] | None,
) -> tuple[Numbering, tuple[Disc, ...]]:
    """Let given discs fix the numbering; return it with the discs in view."""
    given: dict[int, Disc] = {}
    if discs:
        placed, _ = place_discs(discs, line, affine, least=1)
        given = {disc.value: disc for disc in placed}
        numbering = numbering.fixed_by(cells, {value: disc.arc_mm for value, disc in given.items()})
    return numbering, find_discs(cells, numbering.paths[numbering.best], given)


def naming_notes(named: Named, image: str, has_levels: bool) -> list[str]:
    """Say what is doubtful about names and numbers, one line each.

    Parameters
    ----------
    named : Named
    image : str
        Name of the image.
    has_levels : bool
        Whether rootlets of C2 to T1 were found.
    """
    notes = []
    if not has_levels and not named.unnamed:
        notes.append(f"no rootlets were found in {image}")
    if not has_levels and named.unnamed:
        places = ", ".join(f"{one.rostral_mm:.0f}-{one.caudal_mm:.0f}" for one in named.unnamed)
        where = " and ".join(
            text
            for value, text in ((ABOVE_C2, "above C2"), (BELOW_T1, "below T1"))
            if any(one.value == value for one in named.unnamed)
        )
        notes.append(
            f"roots attach at {places} mm from the top of the cord, {where} by the numbering of the vertebrae: "
            "rootlets of C2 to T1 were not found"
        )
    return notes + numbering_notes(named.numbering, named.by_image)


def disagreement_of_discs(by_image: Numbering) -> str:
    """Say that the given discs number the vertebrae differently from the image, where names are not ours."""
    return (
        "the given discs number the vertebrae differently from the image (probability "
        f"{by_image.probability.max():.2f}); check the number of one of them"
    )


def numbering_notes(chosen: Numbering, by_image: Numbering) -> list[str]:
    """Say that the numbers of vertebrae are doubtful, or that given discs contradict the image; one line at most."""
    if chosen.contradicts(by_image):
        return [
            "the names of levels come from the discs; from the image alone, the levels would be named differently "
            f"({by_image.probability.max():.2f})"
        ]
    doubt = chosen.describe_doubt()
    return [f"{doubt}; one disc label settles it (-ldisc)"] if doubt else []


def judge_numbering(
    numbering: Numbering, image: Volume, cord: np.ndarray, cells: np.ndarray, by_image: Numbering | None = None
) -> tuple[VertebralNumbering, list[str]]:
    """Say how sure the numbers of vertebrae are, and whether the image is like those on which this was verified.

    In such images, discs that were given are compared with what the image shows.

    Parameters
    ----------
    numbering : Numbering
    image : Volume
    cord : numpy.ndarray of bool, shape (I, J, K)
        On the voxels of the image.
    cells : numpy.ndarray, shape (N,)
        Places of the paths along the cord.
    by_image : Numbering, optional
        The numbering by the image alone, where discs that were given fix the numbers.

    Returns
    -------
    summary : VertebralNumbering
        Kinds of evidence corroborate each other only in images like those on which this was verified.
    notes : list of str
        A note where the numbers look sure and this was not verified, and for each disc that is not where it was given.
    """
    is_given = by_image is not None
    summary = numbering.summary(is_given)
    if not cord.any() or is_like_t2w(image, cord):
        if by_image is not None:
            other = float(by_image.probability.max()) if numbering.contradicts(by_image) else None
            summary = replace(summary, contradicted_by_image=other, disc_offset_mm=numbering.offset_mm(cells))
        return summary, [
            f"the given disc {disc_name(value)} lies {abs(off):.0f} mm {'below' if off > 0 else 'above'} the place "
            "where the image shows it; check its place and its number"
            for value, off in summary.misplaced_discs.items()
        ]
    if is_given:
        return summary, []
    notes = []
    if numbering.describe_doubt() is None:
        notes.append(
            "the numbers of the vertebrae look sure, but this was verified on T2w scans only, whose fluid is brighter "
            "against the cord than here; one disc label settles it (-ldisc)"
        )
    return replace(summary, is_corroborated=False), notes


def _limited(levels: Levels, chosen: Numbering, summary: VertebralNumbering) -> Levels:
    """Limit the confidence of names where the image contradicts the discs, or shows them in another place."""
    limit = 1.0
    if summary.misplaced_discs:
        limit = chosen.name_limit()
    if summary.contradicted_by_image is not None:
        limit = min(limit, CONTRADICTED_CONFIDENCE)
    known = {level.name: level.confidence for level in levels.levels}
    return levels.with_confidence({name: None if one is None else min(one, limit) for name, one in known.items()})


def cells_of(line: Centerline) -> np.ndarray:
    """Return the places along a cord at which its vertebrae are numbered."""
    return cell_centers(int(np.ceil(line.cord_length / CELL_MM)))


def divide_cord(presence: np.ndarray, cells: np.ndarray, numbering: Numbering) -> Division:
    """Divide the cord by the most probable numbering; confidence covers the others."""
    divisions = {}
    for index in np.flatnonzero(numbering.probability >= MIN_PROBABILITY):
        expected = evidence_from_discs(cells, all_discs(cells, numbering.paths[index].coordinate))
        divisions[int(index)] = decode_levels(presence, [expected])
    best = divisions[numbering.best]
    levels = []
    for level in best.levels:
        confidence = 0.0
        for index, division in divisions.items():
            same = [
                other.confidence or 0.0
                for other in division.levels
                if other.value == level.value and abs(other.midpoint_mm - level.midpoint_mm) < level.length_mm / 2
            ]
            confidence += float(numbering.probability[index]) * max(same, default=0.0)
        levels.append(replace(level, confidence=min(confidence, 1.0)))
    return replace(best, levels=tuple(levels))


def resample_cord(prediction: Prediction, cord: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """Bring the cord to the voxels of the image.

    Parameters
    ----------
    prediction : Prediction
    cord : numpy.ndarray of bool, shape (I, J, K)
        Cord mask on the voxels of the prediction.
    given : numpy.ndarray of bool, optional
        The cord on the voxels of `prediction.oriented`, in place of the predicted one.

    Returns
    -------
    numpy.ndarray of bool
        On the voxels of `prediction.oriented`.
    """
    if given is not None:
        return given
    # The mask decides which component is the cord; the probability decides where its border runs.
    keep = ndimage.binary_dilation(cord, np.ones((3, 3, 3)))
    probability, box = prediction.resampling.to_volume(prediction.cord * keep, prediction.box)
    cord_on_image = np.zeros(prediction.oriented.data.shape, dtype=bool)
    cord_on_image[box] = probability > CORD_THRESHOLD
    return cord_on_image


def resample_rootlets(
    prediction: Prediction, cord: np.ndarray, centerline: Centerline, levels: Sequence[Level]
) -> tuple[np.ndarray, np.ndarray]:
    """Bring rootlets to the voxels of the image, and give each rootlet voxel its level and root.

    Parameters
    ----------
    prediction : Prediction
    cord : numpy.ndarray of bool
        The cord on the voxels of `prediction.oriented`.
    centerline : Centerline
    levels : sequence of Level
        Levels from rostral to caudal.

    Returns
    -------
    rootlets, roots : numpy.ndarray of uint8, on the grid of the image
        See `Segmentation`.
    """
    oriented = prediction.oriented
    probability, box = prediction.resampling.to_volume(prediction.rootlet, prediction.box)
    found = (probability > ROOTLET_THRESHOLD) & ~cord[box]
    rootlets = np.zeros(oriented.data.shape, dtype=np.uint8)
    roots = np.zeros(oriented.data.shape, dtype=np.uint8)
    ijk = np.argwhere(found)
    if len(ijk) and levels:
        first = np.array([part.start for part in box])
        points = apply_affine(oriented.affine, ijk + first)
        index = apply_affine(np.linalg.inv(prediction.affine), points).T
        root = np.stack(
            [ndimage.map_coordinates(root, index, order=1, mode="nearest") for root in prediction.roots]
        ).argmax(axis=0)
        spacing = oriented.spacing
        distance = ndimage.distance_transform_edt(~cord[box], sampling=spacing)[tuple(ijk.T)]
        components = ndimage.label(found, np.ones((3, 3, 3)))[0][tuple(ijk.T)]
        values = assign_levels(points, distance - spacing.mean() / 2, components, centerline, levels)
        voxels = tuple((ijk + first).T)
        rootlets[voxels] = values
        roots[voxels] = np.where(values > 0, 1 + root, 0)
    return oriented.restore(rootlets), oriented.restore(roots)
