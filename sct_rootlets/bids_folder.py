"""Scans of a BIDS folder and their labels, found by the names of the files; no file is opened here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sct_rootlets.bids import CONSENSUS_NAMES, LABEL_ENDINGS, PLAIN_RANK, RATER_RANK, Name, parse_name, stem
from sct_rootlets.errors import DatasetError

#: Where labels lie in a BIDS folder.
LABELS_FOLDER = "derivatives/labels"
#: Entities of a label that say nothing about the image it belongs to.
_LABEL_ENTITIES = ("label", "desc", "space", "seg", "res", "den")
#: Labels of other kinds, which are not missed: values of ``label-`` in small letters.
_OTHER_LABELS = ("lesion", "gm", "wm", "csf", "canal", "centerline", "spinallevels", "vertebrallevels")

_KIND_NAMES = {"rootlets": "rootlet maps", "cord": "cord masks", "discs": "disc labels", "pmj": "PMJ labels"}


@dataclass(frozen=True)
class Scan:
    """An image and its labels.

    Attributes
    ----------
    root : Path
        The BIDS folder.
    image : Name
    labels : dict of str to Path
        By kind, a key of `sct_rootlets.bids.LABEL_VALUES`.
    ambiguous : dict of str to str
        By kind, why none of several labels is used.
    """

    root: Path
    image: Name
    labels: dict[str, Path] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)


def find_scans(
    root: str | os.PathLike[str],
    labels: Sequence[str | os.PathLike[str]] = (),
    contrasts: Iterable[str] = (),
    desc: str | None = None,
) -> tuple[list[Scan], list[str]]:
    """Find the anatomical images of a BIDS folder, and their labels.

    Of several labels of one kind of an image, the consensus of the raters is used (``desc-staple`` or
    ``desc-consensus``), and reported. Without a consensus none is used, and all are reported.

    Parameters
    ----------
    root : path
    labels : sequence of path
        Folders with labels, in place of `LABELS_FOLDER` in `root`. If an image has labels of one kind in several of
        them, the first folder takes precedence.
    contrasts : iterable of str
        Contrasts to keep, such as ``("T2w", "INV1")``, in capitals or small letters; all by default.
    desc : str, optional
        Use the rootlet maps whose ``desc-`` has this value, and maps without ``desc-`` that are the only ones.

    Returns
    -------
    scans : list of Scan
        In the order of their names.
    problems : list of str
        Names that could not be read, labels without an image, and labels that may belong to several.

    Raises
    ------
    DatasetError
        If a folder does not exist, or `root` has no ``sub-`` folder.
    """
    root = Path(root)
    wanted = {contrast.lower() for contrast in contrasts}
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the BIDS folder, which holds folders named sub-...")
    names, problems = _read_names(root)
    if not names and not problems:
        raise DatasetError(f"{root} has no sub-*/anat/*.nii.gz (or sub-*/ses-*/anat/*.nii.gz); is it a BIDS folder?")
    images = [name for name in names if not name.derived]
    problems += _processed_images([name for name in names if not wanted or name.contrast.lower() in wanted])
    problems += [
        f"{name.path} is left out: by its name it was made from an image, which is not there"
        for name in names
        if name.derived and not name.is_processed_image and not any(_may_derive_from(name, image) for image in images)
    ]
    labels_of: dict[Path, dict[str, Path]] = {image.path: {} for image in images}
    ambiguous: dict[Path, dict[str, str]] = {image.path: {} for image in images}
    for folder in [Path(folder) for folder in labels] or [root / LABELS_FOLDER]:
        if labels and not folder.is_dir():
            raise DatasetError(
                f"{folder} is not a folder; give one with labels, laid out as {LABELS_FOLDER} of a BIDS folder"
            )
        assigned, unassigned = _assign_labels(folder, images)
        problems += unassigned
        for (path, kind), candidates in assigned.items():
            if kind in labels_of[path] or kind in ambiguous[path]:
                continue
            label, remarks = _choose_label(candidates, desc if kind == "rootlets" else None)
            problems += remarks
            if label is None:
                ambiguous[path][kind] = remarks[0]
            else:
                labels_of[path][kind] = label.path
    scans = [
        Scan(root, image, labels_of[image.path], ambiguous[image.path])
        for image in sorted(images, key=lambda image: image.path.name)
        if not wanted or image.contrast.lower() in wanted
    ]
    return scans, problems


def _read_names(root: Path) -> tuple[list[Name], list[str]]:
    """Read the names of the NIfTI files in a folder laid out as BIDS is; also return what is wrong with them."""
    names, problems = [], []
    paths = (path for pattern in ("sub-*/anat/*.nii*", "sub-*/ses-*/anat/*.nii*") for path in root.glob(pattern))
    for path in sorted(paths):
        if stem(path.name) == path.name:
            continue
        try:
            str(path).encode()
        except UnicodeEncodeError:
            problems.append(f"{str(path)!a} is left out: its name is no text (UTF-8); rename it")
            continue
        name = parse_name(path)
        folders = path.relative_to(root).parts[:-2]
        if name is None:
            problems.append(f"{path} is left out: its name is none of BIDS (sub-01_T2w.nii.gz, ...)")
        elif folders != tuple(
            f"{key}-{value}" for key, value in (("sub", name.subject), ("ses", name.session)) if value
        ):
            problems.append(
                f"{path} is left out: by its folder it belongs to {' '.join(folders)}, by its name it does not"
            )
        elif not path.exists():
            problems.append(f"{path} is left out: a link to nothing (git annex get, or datalad get, brings the file)")
        else:
            names.append(name)
    return names, problems


def _processed_images(names: list[Name]) -> list[str]:
    """Describe images that were processed, by their names, in one line for each contrast and value of ``desc-``."""
    alike: dict[tuple[str, str], list[Name]] = {}
    for name in names:
        if name.is_processed_image:
            alike.setdefault((name.entities["desc"], name.contrast), []).append(name)
    return [
        f"{same[0].path}{f' (and {len(same) - 1} more such files)' if len(same) > 1 else ''} is left out: desc-{desc} "
        f"in its name marks a processed image; to use it as a scan, leave desc-{desc} out of its name"
        for (desc, _), same in alike.items()
    ]


def _may_derive_from(derived: Name, image: Name) -> bool:
    """Whether a file may have been made from an image, by their names."""
    same_subject = (derived.subject, derived.session) == (image.subject, image.session)
    return same_subject and derived.suffix in (None, image.suffix)


def _assign_labels(folder: Path, images: list[Name]) -> tuple[dict[tuple[Path, str], list[Name]], list[str]]:
    """Give each label in a folder to its image; return labels by image and kind, and what is wrong."""
    names, problems = _read_names(folder)
    problems += [*_misplaced(folder), *_unknown_kinds(names)]
    assigned: dict[tuple[Path, str], list[Name]] = {}
    for label in names:
        if label.kind is None:
            continue
        image, problem = _find_image(label, images)
        if image is None:
            problems.append(problem)
            continue
        assigned.setdefault((image.path, label.kind), []).append(label)
    return assigned, problems


def _unknown_kinds(names: list[Name]) -> list[str]:
    """Describe labels whose names do not say a known kind, in one line for each such name."""
    unknown: dict[str, list[Name]] = {}
    for label in names:
        value = label.entities.get("label", "")
        is_label = bool(value or label.label_words or label.manual)  # no image that was merely processed
        if is_label and label.kind is None and value.lower() not in _OTHER_LABELS:
            unknown.setdefault(f"label-{value}" if value else label.label_words, []).append(label)
    return [
        f"{labels[0].path}{f' (and {len(labels) - 1} more such files)' if len(labels) > 1 else ''} is left out: its "
        f"name says no kind of label that is used; expected are names that end in {_expected(words)}"
        for words, labels in unknown.items()
    ]


def _expected(words: str) -> str:
    """List the endings of names that are read, the likeliest alone where the words suggest one."""
    if words.endswith("seg_labeled"):  # the cord coloured by vertebra, beside which SCT writes the discs
        return f"{LABEL_ENDINGS['discs']}.nii.gz, with the points of …_seg_labeled_discs.nii.gz"
    return ", ".join(f"{ending}.nii.gz" for ending in LABEL_ENDINGS.values())


def _misplaced(folder: Path) -> list[str]:
    """Describe NIfTI files that lie beside the folders ``anat`` and not in them, in one line for each folder."""
    lines = []
    for pattern in ("", "sub-*", "sub-*/ses-*"):
        for place in sorted(folder.glob(pattern) if pattern else [folder]):
            stray = sorted(path.name for path in place.glob("*.nii*") if stem(path.name) != path.name)
            if stray:
                more = f" (and {len(stray) - 1} more)" if len(stray) > 1 else ""
                lines.append(
                    f"{place / stray[0]}{more} is left out: labels are expected in sub-01/anat (or sub-01/ses-01/anat)"
                )
    return lines


def places_without_scan(root: str | os.PathLike[str], scans: Sequence[Scan]) -> dict[str, str]:
    """Find the subjects and sessions of a BIDS folder that have none of the scans.

    Parameters
    ----------
    root : path
    scans : sequence of Scan
        As `find_scans` returns them.

    Returns
    -------
    dict of str to str
        By ``sub-01`` or ``sub-01/ses-02``: what is there instead, such as ``"T1w"``, or ``"no image"``.
    """
    root = Path(root)
    found = {scan.image.path.parent.parent for scan in scans}
    places = {}
    for subject in sorted(path for path in root.glob("sub-*") if path.is_dir()):
        sessions = sorted(path for path in subject.glob("ses-*") if path.is_dir())
        for folder in sessions or [subject]:
            if folder not in found:
                names = [name for path in sorted(folder.glob("anat/*.nii*")) if (name := parse_name(path)) is not None]
                there = dict.fromkeys(
                    f"desc-{name.entities['desc']}_{name.contrast}" if name.is_processed_image else name.contrast
                    for name in names
                    if name.is_processed_image or not name.derived
                )
                places[folder.relative_to(root).as_posix()] = ", ".join(there) or "no image"
    return places


def _choose_label(candidates: list[Name], desc: str | None) -> tuple[Name | None, list[str]]:
    """Choose one of the labels of an image that are of one kind, never by alphabet; also return what to report.

    The label of the best rank is chosen (`sct_rootlets.bids.Name.precedence`); none among equals, and none beside the
    label of a rater unless it is the consensus or a manual label.
    """
    asked = [label for label in candidates if desc is not None and label.version == desc]
    if len(asked) == 1:
        return asked[0], []
    if len(candidates) == 1:
        if desc is None or not candidates[0].version:
            return candidates[0], []
        return None, [f"{candidates[0].path} is left out: it is not desc-{desc}"]
    best = min(label.precedence for label in candidates)
    chosen, *equals = [label for label in candidates if label.precedence == best]
    # Beside a rater's own label (desc-), a label without a description may be anybody's.
    undecided = bool(equals) or (best >= PLAIN_RANK and any(label.precedence == RATER_RANK for label in candidates))
    if desc is None and not undecided:
        others = [label for label in candidates if label is not chosen]
        if chosen.is_consensus:
            names = ", ".join(label.path.name for label in others)
            return chosen, [f"{chosen.path} is used: it is the consensus; left out beside it: {names}"]
        return chosen, [
            f"{label.path} is left out: {chosen.path.name} is a label of the same kind of the same image, and takes "
            "precedence"
            for label in others
        ]
    files = ", ".join(label.path.name for label in candidates)
    where, kind = candidates[0].path.parent, _KIND_NAMES[candidates[0].kind or ""]
    wrong = f"the consensus is not known (desc-{' or desc-'.join(CONSENSUS_NAMES[:2])})"
    if desc is not None:
        wrong = f"{'none' if not asked else 'more than one'} of them is desc-{desc}"
    return None, [
        f"{where} holds {len(candidates)} {kind} of one image, and {wrong}: {files}; none is used: leave the "
        "right one there and move the others, or name the right one desc-consensus"
    ]


def _find_image(label: Name, images: list[Name]) -> tuple[Name | None, str]:
    """Find the image that a label belongs to; None, with the reason, if there is none, or more than one."""
    entities = {key: value for key, value in label.entities.items() if key not in _LABEL_ENTITIES}
    fitting = [
        image
        for image in images
        if (image.subject, image.session) == (label.subject, label.session)
        and label.suffix in (None, image.suffix)
        and entities.items() <= image.entities.items()
    ]
    fitting = [image for image in fitting if image.entities == entities] or fitting
    if not fitting:
        return None, f"{label.path} is left out: there is no image that it could belong to"
    if len(fitting) > 1:
        names = ", ".join(image.stem for image in fitting)
        example = f"{fitting[0].stem}_label-{label.entities['label']}_dseg.nii.gz"
        problem = f"{label.path} is left out: it could belong to {names}; name it after its image, such as {example}"
        return None, problem
    return fitting[0], ""


def files_below(folder: str | os.PathLike[str]) -> list[Path]:
    """List the files in a folder and its subfolders, sorted, also while another process writes there.

    Hidden folders are left out, because outputs wait in them until all are complete
    (`sct_rootlets.output.files.staged_outputs`). Folders that vanish meanwhile, or cannot be read, are left out too.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Path
    """
    paths: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [path for path in (Path(parent, name) for name in names) if path.is_file()]
    return sorted(paths)
