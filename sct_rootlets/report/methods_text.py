"""The methods paragraph of a paper, from the sidecars of the results: what ran, in which version, and how.

Only what the sidecars say is written. What differs between scans is counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.errors import DatasetError
from sct_rootlets.models.catalogue import read_catalogue
from sct_rootlets.models.manifest import NETWORKS
from sct_rootlets.sidecar import read_object

Sidecar = Mapping[str, Any]

#: References by a short name.
REFERENCES = {
    "Bédard et al. 2025": "Bédard et al. 2025, Imaging Neuroscience, doi:10.1162/IMAG.a.123",
    "De Leener et al. 2018": "De Leener et al. 2018, NeuroImage 165:170-179, doi:10.1016/j.neuroimage.2017.10.041",
    "Krejčí et al. 2026": "Krejčí et al. 2026, Scientific Reports, doi:10.1038/s41598-026-49164-0",
    "Valošek et al. 2024": "Valošek et al. 2024, Imaging Neuroscience, doi:10.1162/imag_a_00218",
}
#: What each method of spinal levels is, with the distance in mm in place of ``{mm}``.
METHOD_TEXTS = {
    "segment": "A spinal level reaches from the caudal end of the rootlets of the level above to the caudal end of its "
    "own rootlets, which count up to {mm} mm from the cord (method segment)",
    "extent": "A spinal level is the stretch along which its rootlets lie within {mm} mm of the cord (method extent; "
    "Valošek et al. 2024)",
    "midgap": "The boundary between two spinal levels lies halfway between their rootlets, which count up to {mm} mm "
    "from the cord (method midgap)",
}
#: Where positions are counted from, by the name in sidecars.
REFERENCE_TEXTS = {
    "PMJ": "the pontomedullary junction",
    "cord top": "the top of the cord",
    "conus": "the tip of the conus medullaris",
}
#: How many digits of a SHA-256 are written; the sidecars have them all.
DIGITS = 12


def methods_text(folder: str | os.PathLike[str]) -> str:
    """Write the methods paragraph, and the references that it cites.

    Parameters
    ----------
    folder : path
        Folder of results, at any depth of which the sidecars of levels (``*_levels.json``) and of registrations
        (``registration.json``) lie.

    Returns
    -------
    str
        Lines of the paragraph, an empty line, and one line for each reference.

    Raises
    ------
    DatasetError
        If the folder does not exist, or holds no such sidecar.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; give the folder of the results")
    levels = [sidecar for sidecar in _read_all(folder, "*_levels.json") if sidecar.get("Method") in METHOD_TEXTS]
    registrations = [sidecar for sidecar in _read_all(folder, "registration.json") if "Engine" in sidecar]
    if not levels and not registrations:
        raise DatasetError(
            f"{folder} holds no results with sidecars (*_levels.json, registration.json); give the folder that "
            "sct_compute_spinal_levels, bids or register wrote"
        )
    sentences = [*_level_sentences(levels), *_registration_sentences(registrations)]
    paragraph = " ".join(f"{sentence}." for sentence in sentences)
    cited = [reference for name, reference in REFERENCES.items() if name in paragraph]
    return "\n".join([paragraph, "", *cited]).rstrip()


def _read_all(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [read_object(path) for path in sorted(folder.rglob(pattern))]


def _level_sentences(levels: Sequence[Sidecar]) -> list[str]:
    """Say how the levels of all scans were computed."""
    if not levels:
        return []
    n = len(levels)
    sentences = [
        f"Spinal levels of the cord were computed from its nerve rootlets with sct_rootlets {_versions(levels)}, in "
        f"{n} scan{'s' * (n > 1)} (Valošek et al. 2024)"
    ]
    for (model,), number in _counted(levels, lambda sidecar: (_model_text(sidecar.get("Model")),)):
        if model:
            sentences.append(_of_some(number, n, f"Labels that were not provided were segmented by {model}"))
    for kind, name in (("cord", "The cord mask"), ("rootlets", "The rootlet map")):
        number = sum(_is_given(sidecar, kind) for sidecar in levels)
        if number:
            sentences.append(_of_some(number, n, f"{name} was provided"))
    for (method, mm), number in _counted(levels, lambda one: (one["Method"], one.get("DistanceMillimeters"))):
        sentences.append(_of_some(number, n, METHOD_TEXTS[method].format(mm=mm)))
    sentences += _disc_sentences(levels)
    references = _counted(levels, lambda one: (str(one.get("Reference")),))
    where = _joined(f"from {REFERENCE_TEXTS.get(name, name)}{_of(number, n)}" for (name,), number in references)
    return [*sentences, f"Positions are in mm along the centerline of the cord, counted {where}"]


def _disc_sentences(levels: Sequence[Sidecar]) -> list[str]:
    """Say where the discs come from, and whether they decided names."""
    n = len(levels)
    given = sum(_is_given(one, "discs") or _is_given(one, "vertebrae") for one in levels)
    sources = [{disc.get("Source") for disc in one.get("Discs", ())} for one in levels]
    found = sum("image" in kinds for kinds in sources)
    sentences = []
    if given or found:
        where = [f"found in the image{_of(found, n)}"] * bool(found)
        where += [f"provided{_of(given, n)}"] * bool(given)
        sentences.append(f"Vertebral levels lie between discs, which were {_joined(where)}")
    named = sum(one.get("NamesFromDiscs") is True for one in levels)
    if named:
        sentences.append(_of_some(named, n, "The provided discs decided the names of spinal levels"))
    return sentences


def _registration_sentences(registrations: Sequence[Sidecar]) -> list[str]:
    """Say how scans were registered to a template."""
    n = len(registrations)
    sentences = []

    def describe(one: Sidecar) -> tuple[str, str, str, str]:
        files = one.get("Template", {}).values()
        is_pam50 = bool(files) and all(str(name).startswith("PAM50_") for name in files)
        template = "the PAM50 template (De Leener et al. 2018)" if is_pam50 else "a template"
        engine = {"sct": "the Spinal Cord Toolbox, called by "}.get(str(one["Engine"]), "")
        return template, str(one.get("Landmarks")), engine, _versions([one])

    for (template, landmarks, engine, version), number in _counted(registrations, describe):
        by = {"both": "rootlets and discs"}.get(landmarks, landmarks)
        cited = " (Bédard et al. 2025)" if "rootlets" in by else ""
        count = f"{number} scan{'s' * (number > 1)} {'were' if number > 1 else 'was'}"
        sentences.append(
            f"{count} registered to {template}, aligned along the cord by {by}{cited}, with {engine}sct_rootlets "
            f"{version}"
        )
    dice = [one["CordDice"] for one in registrations if isinstance(one.get("CordDice"), float)]
    if dice:
        values = f"{dice[0]:.2f}" if n == 1 else f"{min(dice):.2f} to {max(dice):.2f}"
        sentences.append(f"The Dice coefficient of the cords of subject and template was {values}")
    return sentences


def _model_text(model: object) -> str:
    """Name a model with its version and the beginning of the SHA-256 of its weights; empty if none ran."""
    if not isinstance(model, Mapping):
        return ""
    text = f"the model {model.get('Name')} {model.get('Version')}"
    weights = {path: digest for path, digest in (model.get("SHA256") or {}).items() if path.endswith(".pth")}
    if weights:
        text += f" (SHA-256 of the weights: {', '.join(_hash_text(path, weights[path]) for path in sorted(weights))})"
    release = read_catalogue().get(str(model.get("Name")))
    cited = {"Krejci": "Krejčí et al. 2026", "Valosek": "Valošek et al. 2024"}
    names = [name for key, name in cited.items() if release is not None and release.citation.startswith(key)]
    text += f" ({names[0]})" if names else ""
    cord = _model_text(model.get("CordAndRoots"))
    return f"{text}, with the cord by {cord}" if cord else text


def _hash_text(path: str, digest: str) -> str:
    """Name the network of a file of weights, if there are several, and give the beginning of its SHA-256."""
    network = path.split("/")[0]
    return f"{network} {digest[:DIGITS]}" if network in NETWORKS else digest[:DIGITS]


def _is_given(sidecar: Sidecar, kind: str) -> bool:
    """Whether a label was provided; what is segmented on the way is named after the scan that it is of."""
    name = sidecar.get("Inputs", {}).get(kind)
    return isinstance(name, str) and not name.startswith(f"{kind} of ")


def _versions(sidecars: Iterable[Sidecar]) -> str:
    """Name the versions of the package that wrote the sidecars."""
    entries = (entry for sidecar in sidecars for entry in sidecar.get("GeneratedBy", ()))
    return _joined(sorted({str(entry.get("Version")) for entry in entries})) or "(unknown version)"


def _counted(sidecars: Sequence[Sidecar], key: Any) -> list[tuple[tuple[Any, ...], int]]:
    """Count what differs between scans, the most frequent first."""
    return Counter(map(key, sidecars)).most_common()


def _of_some(number: int, n: int, sentence: str) -> str:
    """Say of how many scans a sentence holds, if not of all."""
    return sentence if number == n else f"In {number} of {n} scans, {sentence[0].lower()}{sentence[1:]}"


def _of(number: int, n: int) -> str:
    return "" if number == n else f" in {number} of {n} scans"


def _joined(words: Iterable[str]) -> str:
    """List words in a sentence."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last
