"""Scans of a BIDS folder and their labels, by the names of the files; no file is opened here.

An own module of a page, as the library that knows BIDS (``ancpbids``) does not take the names that labels of the spinal
cord have: ``sub-01_T2w_label-rootlets_dseg.nii.gz`` (spine-generic) has an entity behind a suffix. Its version 0.4.10
lists such a file, but ``BIDSLayout.get(label="rootlets")`` and ``get(suffix="dseg")`` do not find it, nor
``get(suffix="dlabel")`` discs. Here both those and plain BIDS names are read, such as
``sub-01_inv-1_part-mag_label-rootlets_dseg.nii.gz``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sct_rootlets.errors import DatasetError

#: Kinds of labels, and what their ``label-`` entity says, in small letters.
KINDS = {
    "rootlets": ("rootlets", "rootlet"),
    "cord": ("sc", "cord"),
    "discs": ("discs", "disc"),
    "pmj": ("pmj",),
}
#: Values of the ``label-`` entity of maps of spinal and vertebral levels.
LABEL_NAMES = {"spinal": "spinalLevels", "vertebral": "vertebralLevels"}
#: Ending of a level table.
TABLE_ENDING = "_levels.csv"
#: Where labels lie in a BIDS folder.
LABELS = "derivatives/labels"
_ENDINGS = (".nii.gz", ".nii")
_LABEL_SUFFIXES = ("dseg", "seg", "mask", "dlabel", "label")
#: Entities of a label that say nothing about the image it belongs to.
_OF_LABELS = ("label", "desc", "space", "seg", "res", "den")


@dataclass(frozen=True)
class Name:
    """What a file's name says.

    Attributes
    ----------
    path : Path
    subject : str
        Without ``sub-``.
    session : str, optional
        Without ``ses-``.
    entities : dict of str to str
        All others, such as ``{"inv": "1", "part": "mag"}``.
    suffix : str, optional
        Of the image, such as ``"T2w"``; None for a label in plain BIDS, which does not say it.
    derived : bool
        Whether the file was made from an image, as ``sub-01_T2w_seg`` or ``sub-01_T2w_rootlets`` beside it: names of
        images have one suffix, at their end, and no ``label-`` or ``desc-``.
    """

    path: Path
    subject: str
    session: str | None
    entities: dict[str, str]
    suffix: str | None
    derived: bool = False

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return _without_ending(self.path.name) or self.path.name

    @property
    def contrast(self) -> str:
        """Suffix, or for the two images of an MP2RAGE ``"INV1"`` and ``"INV2"``."""
        inversion = self.entities.get("inv")
        return f"INV{inversion.lstrip('0')}" if self.suffix == "MP2RAGE" and inversion else self.suffix or ""

    @property
    def kind(self) -> str | None:
        """Of `KINDS`; None for an image, or a label of another kind."""
        value = self.entities.get("label", "").lower()
        return next((kind for kind, values in KINDS.items() if value in values), None)


@dataclass(frozen=True)
class Scan:
    """An image and the labels there are of it.

    Attributes
    ----------
    root : Path
        The BIDS folder.
    image : Name
    labels : dict of str to Path
        By kind.
    """

    root: Path
    image: Name
    labels: dict[str, Path] = field(default_factory=dict)


def parse_name(path: str | os.PathLike[str]) -> Name | None:
    """Read the name of a NIfTI file.

    Returns
    -------
    Name or None
        None if it is no BIDS name: it does not begin with ``sub-``, or has an entity twice.

    Examples
    --------
    >>> name = parse_name("sub-01_ses-2_inv-1_part-mag_MP2RAGE_label-rootlets_dseg.nii.gz")
    >>> name.subject, name.session, name.contrast, name.kind
    ('01', '2', 'INV1', 'rootlets')
    """
    path = Path(path)
    stem = _without_ending(path.name)
    if stem is None:
        return None
    entities: dict[str, str] = {}
    suffixes = []
    for part in stem.split("_"):
        key, dash, value = part.partition("-")
        if not dash:
            suffixes.append(part)
        elif key in entities or not key or not value:
            return None
        else:
            entities[key] = value
    if not stem.startswith("sub-") or not suffixes:
        return None
    images = [suffix for suffix in suffixes if suffix not in _LABEL_SUFFIXES]
    derived = (
        len(suffixes) > 1
        or not images
        or not stem.endswith(f"_{images[0]}")
        or not {"label", "desc"}.isdisjoint(entities)
    )
    subject, session = entities.pop("sub"), entities.pop("ses", None)
    return Name(path, subject, session, entities, images[0] if images else None, derived)


def _without_ending(name: str) -> str | None:
    return next((name[: -len(ending)] for ending in _ENDINGS if name.endswith(ending)), None)


def find_scans(
    root: str | os.PathLike[str], labels: Sequence[str | os.PathLike[str]] = (), contrasts: Iterable[str] = ()
) -> tuple[list[Scan], list[str]]:
    """Find the anatomical images of a BIDS folder, and their labels.

    Parameters
    ----------
    root : path
    labels : sequence of path
        Folders with labels, in place of `LABELS` in `root`. Of an image that has labels of a kind in several, the first
        counts.
    contrasts : iterable of str
        Those wanted, such as ``("T2w", "INV1")``; all by default. Capitals do not matter.

    Returns
    -------
    scans : list of Scan
        In the order of their names.
    problems : list of str
        Names that could not be read, labels without an image, and labels that may belong to several.

    Raises
    ------
    DatasetError
        If a folder is not there, or `root` has no ``sub-`` folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the BIDS folder, which holds folders named sub-...")
    images, problems = _names(root)
    if not images and not problems:
        raise DatasetError(f"{root} has no sub-*/anat/*.nii.gz (or sub-*/ses-*/anat/*.nii.gz); is it a BIDS folder?")
    images, derived = [name for name in images if not name.derived], [name for name in images if name.derived]
    problems += [
        f"{name.path} is left out: by its name it was made from an image, which is not there"
        for name in derived
        if not any(_is_of(name, image) for image in images)
    ]
    found: dict[Path, dict[str, Path]] = {image.path: {} for image in images}
    for folder in [Path(folder) for folder in labels] or [root / LABELS]:
        if labels and not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder; give one with labels, laid out as {LABELS} of a BIDS folder")
        names, unread = _names(folder)
        problems += unread
        here: dict[tuple[Path, str], Path] = {}
        for name in names:
            if name.kind is not None:
                problems += _assign(name, name.kind, images, here)
        for (path, kind), label in here.items():
            found[path].setdefault(kind, label)
    wanted = {contrast.lower() for contrast in contrasts}
    scans = [
        Scan(root, image, found[image.path])
        for image in sorted(images, key=lambda image: image.path.name)
        if not wanted or image.contrast.lower() in wanted
    ]
    return scans, problems


def _names(root: Path) -> tuple[list[Name], list[str]]:
    """Names of the NIfTI files in a folder laid out as BIDS is, and what is wrong with them."""
    names, problems = [], []
    found = (path for pattern in ("sub-*/anat/*.nii*", "sub-*/ses-*/anat/*.nii*") for path in root.glob(pattern))
    for path in sorted(found):
        if _without_ending(path.name) is None:
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


def _is_of(derived: Name, image: Name) -> bool:
    """Whether a file may have been made from an image, by their names."""
    same_subject = (derived.subject, derived.session) == (image.subject, image.session)
    return same_subject and derived.suffix in (None, image.suffix)


def _assign(label: Name, kind: str, images: list[Name], found: dict[tuple[Path, str], Path]) -> list[str]:
    """Give a label to the image it belongs to; returns what is wrong."""
    described = {key: value for key, value in label.entities.items() if key not in _OF_LABELS}
    fitting = [
        image
        for image in images
        if (image.subject, image.session) == (label.subject, label.session)
        and label.suffix in (None, image.suffix)
        and described.items() <= image.entities.items()
    ]
    exact = [image for image in fitting if image.entities == described]
    fitting = exact or fitting
    if not fitting:
        return [f"{label.path} is left out: there is no image that it could belong to"]
    if len(fitting) > 1:
        names = ", ".join(image.stem for image in fitting)
        example = f"{fitting[0].stem}_label-{label.entities['label']}_dseg.nii.gz"
        return [f"{label.path} is left out: it could belong to {names}; name it after its image, such as {example}"]
    key = (fitting[0].path, kind)
    if key in found:
        first = found.pop(key)
        found[key] = min(first, label.path)
        other = max(first, label.path)
        return [f"{other} is left out: {found[key].name} is a label of the same kind of the same image"]
    found[key] = label.path
    return []


def files_below(folder: str | os.PathLike[str]) -> list[Path]:
    """Files in a folder and its subfolders, sorted, also while another process writes there.

    Hidden folders are left out: outputs wait there (`staged_outputs`) until all are there. What vanishes meanwhile,
    or cannot be read, is left out too.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Path
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for path in (Path(parent, name) for name in names) if path.is_file()]
    return sorted(found)


def output_prefix(name: str) -> str:
    """What output names begin with: a file's name without ending, label entity, suffix or the like.

    Examples
    --------
    >>> output_prefix("sub-01_T2w_label-SC_seg.nii.gz")
    'sub-01_T2w'
    >>> output_prefix("t2_seg-manual.nii.gz")
    't2'
    """
    stem = re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)
    short = re.sub(r"(_(label|desc)-[a-zA-Z0-9]+)*_(seg|dseg|mask|probseg)([-_]manual)?$", "", stem)
    return short or stem
