"""Names of files, after BIDS: what a name says of a scan or a label, and what names of outputs end in.

The library that knows BIDS (``ancpbids``) does not accept the names that labels of the spinal cord have:
``sub-01_T2w_label-rootlets_dseg.nii.gz`` (spine-generic) has an entity behind a suffix. Its version 0.4.10 lists such a
file, but ``BIDSLayout.get(label="rootlets")`` and ``get(suffix="dseg")`` do not find it, nor does
``get(suffix="dlabel")`` find discs. Here both those and plain BIDS names are read, such as
``sub-01_inv-1_part-mag_label-rootlets_dseg.nii.gz``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.errors import ImageError

#: Values of the ``label-`` entity by kind of label, in small letters.
LABEL_VALUES = {
    "rootlets": ("rootlets", "rootlet"),
    "cord": ("sc", "cord"),
    "discs": ("discs", "disc"),
    "pmj": ("pmj",),
}
#: Endings of label maps by kind of label, behind the name of the scan and before ``.nii.gz``.
LABEL_ENDINGS = {
    "rootlets": "label-rootlets_dseg",
    "cord": "label-SC_seg",
    "discs": "label-discs_dlabel",
    "pmj": "label-PMJ_dlabel",
}
#: Contrasts of the images in which rootlets are segmented, as in `Name.contrast`.
SEGMENTED_CONTRASTS = ("T2w", "UNIT1", "INV1", "INV2")
#: Part of the ``desc-`` value, in small letters, of a label that several raters' labels were merged into.
CONSENSUS_NAMES = ("staple", "consensus", "majority")
#: Ranks of labels (`Name.precedence`) without a description, and with one, such as a rater's.
PLAIN_RANK, RATER_RANK = 2, 4
#: Kinds of labels that are segmented where they are not given.
SEGMENTED_KINDS = ("cord", "rootlets")
#: Values of the ``label-`` entity of maps of spinal and vertebral levels.
LABEL_NAMES = {"spinal": "spinalLevels", "vertebral": "vertebralLevels"}
#: Ending of a level table.
TABLE_ENDING = "_levels.csv"
#: File types that every figure is written in: one for the screen, one whose text and lines can be edited.
FIGURE_TYPES = ("png", "svg")
#: Endings of the tables of measures per level, by what is measured, and of their record.
MEASURE_ENDINGS = {"shape": "shape.csv", "signal": "signal.csv", "lesions": "lesions_perlevel.csv"}
MEASURE_RECORD_ENDING = "measures.json"
#: Endings of the tables in the columns of the published scripts, by year of the scripts. Their globs look for
#: ``label-rootlet*_pmj_distance.csv``, the rootlet file's stem and what the script adds.
PUBLISHED_ENDINGS = {
    "2025": {
        "spinal": "label-rootlets_dseg_pmj_distance.csv",
        "vertebral": "pmj_distance_vertebral_disc.csv",
    },
    "2026": {
        "spinal": "label-rootlets_dseg_pmj_distance_rootlets-only.csv",
        "vertebral": "pmj_distance_vertebral_disc.csv",
    },
}

#: Longest name of a file that file systems take, in bytes.
MAX_NAME_BYTES = 255

_NIFTI_ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
#: Words behind the name of an image that say that a file is a label, and not of which image.
_LABEL_SUFFIXES = (
    *("dseg", "seg", "mask", "dlabel", "label", "labels", "probseg", "softseg"),
    *("labeled", "disc", "discs", "rootlet", "rootlets", "pmj"),
)
#: Names of labels without a ``label-`` entity, as the Spinal Cord Toolbox and older datasets have them: the words
#: behind the name of the image, in small letters and without ``manual``.
_OLDER_NAMES = {
    "cord": re.compile(r"seg|(seg_)?(sc|cord|spinalcord)(_(seg|mask|dseg|softseg|probseg))?|totalspineseg_cord"),
    "discs": re.compile(
        r"((seg_)?labeled_)?discs?(_(dlabel|dseg|labels?|step1_levels))?|(totalspineseg_)?step1_levels|"
        r"totalspineseg_discs"
    ),
    "rootlets": re.compile(r"rootlets?(_(dseg|seg|mask|labels?))?"),
    "pmj": re.compile(r"pmj(_(dlabel|labels?|dseg|seg|mask))?"),
}
#: Entities of images and labels, of which any may have the value ``manual``.
_ENTITIES = (
    *("sub", "ses", "acq", "ce", "rec", "run", "echo", "flip", "inv", "mt", "part", "mod", "chunk", "split", "proc"),
    *("space", "res", "den", "desc", "label", "labels", "hemi", "task", "dir"),
)
#: Descriptions (``desc-``) of labels that several raters agree on, and of those that a person drew or corrected.
_MANUAL = ("manual", "corrected")


def stem(name: str) -> str:
    """Strip ``.nii.gz`` or ``.nii``, in capitals or small letters, from the name of a file; other names stay.

    Examples
    --------
    >>> stem("sub-01_T2w.nii.gz"), stem("T2.NII"), stem("levels.csv")
    ('sub-01_T2w', 'T2', 'levels.csv')
    """
    return _NIFTI_ENDING.sub("", name)


def output_prefix(name: str) -> str:
    """Strip the ending, the label entity and the suffix of a label from a name: names of outputs begin with the rest.

    Examples
    --------
    >>> output_prefix("sub-01_T2w_label-SC_seg.nii.gz")
    'sub-01_T2w'
    >>> output_prefix("t2_seg-manual.nii.gz")
    't2'
    """
    whole = stem(name)
    return re.sub(r"(_(label|desc)-[a-zA-Z0-9]+)*_(seg|dseg|mask|probseg)([-_]manual)?$", "", whole) or whole


def is_utf8(name: str) -> bool:
    r"""Whether the name of a file is UTF-8 text: Python marks bytes that are none by lone surrogates.

    Examples
    --------
    >>> is_utf8("Müller.nii"), is_utf8("M\udcfcller.nii")
    (True, False)
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path with a sign in place of each byte that is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def check_output_file(path: str | os.PathLike[str], suffixes: Iterable[str] = ("",)) -> None:
    """Check the name of an image that is to be written, before anything is computed.

    Parameters
    ----------
    path : path
        As the user gave it: a slash at the end says that it is a folder.
    suffixes : iterable of str
        Texts that are put between the name and its ending.

    Raises
    ------
    ImageError
        If it is a folder, has no name before its ending, is not UTF-8, or is too long.
    """
    text = os.fspath(path)
    shown = printable(text)
    if text.endswith(("/", os.sep)) or Path(text).is_dir():
        raise ImageError(
            f"{shown} is a folder; give the name of a file (-o), such as {shown.rstrip('/')}/t2_label.nii.gz"
        )
    if not stem(Path(text).name).strip():
        raise ImageError(f"{shown} has no name before its ending; give one, such as t2_label.nii.gz")
    check_output_names([f"{stem(Path(text).name)}{suffix}.nii.gz" for suffix in suffixes])


def check_output_names(names: Iterable[str]) -> None:
    """Check that file systems take the names of files that are to be written.

    Raises
    ------
    ImageError
        If a name is not UTF-8, or longer than `MAX_NAME_BYTES`.
    """
    for name in names:
        if not is_utf8(name):
            raise ImageError(f"{printable(name)} would be written, whose name is not UTF-8 text; give another name")
        n_bytes = len(name.encode("utf-8"))
        if n_bytes > MAX_NAME_BYTES:
            raise ImageError(
                f"{name[:40]}… would be a name of {n_bytes} bytes, and file systems take {MAX_NAME_BYTES}; give a "
                "shorter name"
            )


@dataclass(frozen=True, kw_only=True)
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
    label_words : str
        Of a label without ``label-``: the words behind the name of the image, in small letters, as ``"seg"`` of
        ``sub-01_T2w_seg-manual``.
    manual : bool
        Whether the name says that a person drew or corrected the label (``-manual``, ``desc-manual``).
    """

    path: Path
    subject: str
    session: str | None
    entities: dict[str, str]
    suffix: str | None
    derived: bool = False
    label_words: str = ""
    manual: bool = False

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return stem(self.path.name)

    @property
    def contrast(self) -> str:
        """The suffix, or for the two images of an MP2RAGE ``"INV1"`` and ``"INV2"``."""
        inversion = self.entities.get("inv")
        return f"INV{inversion.lstrip('0')}" if self.suffix == "MP2RAGE" and inversion else self.suffix or ""

    @property
    def version(self) -> str:
        """What tells a label from others of its kind: the value of ``desc-``, or a suffix such as ``rater1``."""
        if "desc" in self.entities:
            return self.entities["desc"]
        further = [
            part
            for part in self.stem.split("_")
            if "-" not in part and part != self.suffix and part not in _LABEL_SUFFIXES
        ]
        return further[-1] if further else ""

    @property
    def is_consensus(self) -> bool:
        """Whether the label says that it is the consensus of several raters: ``desc-staple``, ``desc-consensus``."""
        return any(name in self.version.lower() for name in CONSENSUS_NAMES)

    @property
    def kind(self) -> str | None:
        """The kind of label, a key of `LABEL_VALUES`; None for an image, or a label of another kind."""
        value = self.entities.get("label", "").lower()
        if value:
            return next((kind for kind, values in LABEL_VALUES.items() if value in values), None)
        return next((kind for kind, words in _OLDER_NAMES.items() if words.fullmatch(self.label_words)), None)

    @property
    def is_processed_image(self) -> bool:
        """Whether a ``desc-`` before the suffix of an image says that it was processed: ``sub-01_desc-n4_T2w``."""
        is_image = self.suffix is not None and self.stem.endswith(f"_{self.suffix}") and not self.label_words
        return is_image and "desc" in self.entities and "label" not in self.entities

    @property
    def precedence(self) -> int:
        """Rank among labels of one kind of one image, the lowest first.

        A consensus of raters comes before what a person drew or corrected, then today's names, older names, and any
        other description (``desc-``).
        """
        if self.is_consensus:
            return 0
        if self.manual:
            return 1
        if "desc" in self.entities:
            return RATER_RANK
        return PLAIN_RANK if "label" in self.entities else 3


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
    >>> name = parse_name("sub-01_T2w_labels-disc-manual.nii.gz")
    >>> name.contrast, name.kind, name.manual
    ('T2w', 'discs', True)
    """
    path = Path(path)
    whole = stem(path.name)
    if whole == path.name:
        return None
    entities: dict[str, str] = {}
    suffixes = []
    manual = False
    for part in whole.split("_"):
        part, by_hand = _without_manual(part)
        manual |= by_hand
        key, dash, value = part.partition("-")
        key = "label" if key == "labels" else key
        if not part:
            continue
        if not dash:
            suffixes.append(part)
        elif key in entities or not key or not value:
            return None
        else:
            entities[key] = value
    if not whole.startswith("sub-") or not suffixes:
        return None
    images = [suffix for suffix in suffixes if suffix.lower() not in _LABEL_SUFFIXES]
    derived = (
        manual
        or len(suffixes) > 1
        or not images
        or not whole.endswith(f"_{images[0]}")
        or not {"label", "desc"}.isdisjoint(entities)
    )
    # The image's suffix comes first; where it does not, the name does not say it.
    words = suffixes[1:] if images and suffixes[0] == images[0] else suffixes
    manual |= entities.get("desc", "").lower() in _MANUAL
    subject, session = entities.pop("sub"), entities.pop("ses", None)
    return Name(
        path=path,
        subject=subject,
        session=session,
        entities=entities,
        suffix=images[0] if images else None,
        derived=derived,
        label_words="_".join(words).lower() if derived else "",
        manual=manual,
    )


def _without_manual(part: str) -> tuple[str, bool]:
    """Strip ``manual`` from a part of a label's name (``seg-manual``, ``label-disc-manual``), and say if it was there.

    An entity of an image, such as ``acq-manual``, stays.
    """
    whole = part.lower()
    if whole in _MANUAL:
        return "", True
    before, dash, last = part.rpartition("-")
    if not dash or last.lower() not in _MANUAL:
        return part, False
    return (part, False) if before.lower() in _ENTITIES else (before, True)
