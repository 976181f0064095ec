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
from dataclasses import dataclass
from pathlib import Path

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
#: Part of the ``desc-`` value, in small letters, of a label that several raters' labels were merged into.
CONSENSUS_NAMES = ("staple", "consensus")
#: Kinds of labels that are segmented where they are not given.
SEGMENTED_KINDS = ("cord", "rootlets")
#: Values of the ``label-`` entity of maps of spinal and vertebral levels.
LABEL_NAMES = {"spinal": "spinalLevels", "vertebral": "vertebralLevels"}
#: Ending of a level table.
TABLE_ENDING = "_levels.csv"
#: Endings of the tables in the columns of the published scripts.
PUBLISHED_ENDINGS = {"spinal": "rootlets_pmj_distance.csv", "vertebral": "pmj_distance_vertebral_disc.csv"}

_NIFTI_ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
_LABEL_SUFFIXES = ("dseg", "seg", "mask", "dlabel", "label")


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
        return next((kind for kind, values in LABEL_VALUES.items() if value in values), None)


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
    whole = stem(path.name)
    if whole == path.name:
        return None
    entities: dict[str, str] = {}
    suffixes = []
    for part in whole.split("_"):
        key, dash, value = part.partition("-")
        if not dash:
            suffixes.append(part)
        elif key in entities or not key or not value:
            return None
        else:
            entities[key] = value
    if not whole.startswith("sub-") or not suffixes:
        return None
    images = [suffix for suffix in suffixes if suffix not in _LABEL_SUFFIXES]
    derived = (
        len(suffixes) > 1
        or not images
        or not whole.endswith(f"_{images[0]}")
        or not {"label", "desc"}.isdisjoint(entities)
    )
    subject, session = entities.pop("sub"), entities.pop("ses", None)
    return Name(
        path=path,
        subject=subject,
        session=session,
        entities=entities,
        suffix=images[0] if images else None,
        derived=derived,
    )
