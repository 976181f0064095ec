"""The labels of PAM50: where they are published, and their download into a folder of the user's.

PAM50: De Leener 2018 (NeuroImage 165:170); its rootlets: Bédard 2025 (doi 10.1162/IMAG.a.123).
"""

from __future__ import annotations

import os
from pathlib import Path

#: Commit of the repository of PAM50 of 4 July 2025, address of a file, and SHA-256 of the labels. Labels suffice:
#: registration does not use intensities.
COMMIT = "31443641706ed3b87b970596c70668909db1e4af"
URL = "https://raw.githubusercontent.com/spinalcordtoolbox/PAM50/{commit}/template/{name}"
PUBLISHED = {
    "PAM50_cord.nii.gz": "5934efd3c833b068bf160f80f870f501dd264670fb6adadd63301fa5338b641d",
    "PAM50_label_disc.nii.gz": "3555dfe7131c48e8c9e836182fd340387128f41eed24833745c3bab6e4235baa",
    "PAM50_label_discPosterior.nii.gz": "5f66c000f2b1767e790a7e61dc8d82fe260b12a058a354d322c02c252347526b",
    "PAM50_levels.nii.gz": "5e5b27aee46837abfdb85bffb01d5eb6c20f41ed7d308f5388fc86fd251942b6",
    "PAM50_rootlets.nii.gz": "e950b16e0eed4042ad7966fe8664cbeff5736c5ef86412e6806dcaf376f70940",
    "PAM50_spinal_levels.nii.gz": "96ce9ee4d3acbb2c289a43b954c8a54c258e3aa7c24e2cd5db95d26bdc8871bc",
}
_MAX_FILE_BYTES = 2**24


def cache_folder() -> Path:
    """Return the folder of a downloaded template: ``SCT_ROOTLETS_TEMPLATE``, or a cache folder of the user's."""
    named = os.environ.get("SCT_ROOTLETS_TEMPLATE")
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("sct_rootlets") / "PAM50"


def download_template(folder: Path | None = None, url: str = URL, progress: bool = False) -> Path:
    """Download the labels of PAM50, about 0.7 MB; files that are there with the right hash are not downloaded again.

    Parameters
    ----------
    folder : Path, optional
        By default `cache_folder`.
    url : str
        Address of a file, with ``{commit}`` and ``{name}`` in it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If a file cannot be downloaded, or differs from the published one.
    """
    from sct_rootlets.errors import ModelError
    from sct_rootlets.models.download import download
    from sct_rootlets.sidecar import sha256_of

    folder = cache_folder() if folder is None else folder
    for name, sha256 in PUBLISHED.items():
        target = folder / name
        if target.exists() and sha256_of(target) == sha256:
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            download(
                url.format(commit=COMMIT, name=name), folder, sha256, limit_bytes=_MAX_FILE_BYTES, progress=progress
            ).replace(target)
        except OSError as error:
            raise ModelError(f"{folder} cannot be written to ({error.strerror or error})") from error
        except ModelError as error:
            raise ModelError(f"{error}; or give a folder with PAM50: -template <folder>") from error
    return folder
