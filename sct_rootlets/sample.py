"""A real scan for a first try: a crop of a T2w scan from the testing data of the Spinal Cord Toolbox (MIT licence)."""

from __future__ import annotations

import os
from pathlib import Path

#: Commit of the repository of the testing data, address of the scan in it, and SHA-256 of the file.
COMMIT = "af4c7e8783c9dcf8bcfc6c53b190af46260bb875"
URL = f"https://raw.githubusercontent.com/spinalcordtoolbox/sct_testing_data/{COMMIT}/t2/t2.nii.gz"
SHA256 = "15cde5cdc5e56ad4f7d5fef698b317864c9bd68c0f72d2b3022c9fae6d11d977"
#: Name of the scan without its ending, and so the beginning of the names of all outputs.
NAME = "t2"
#: One disc of the scan: value (C3/C4, as SCT numbers discs) and voxel, from the labels that are published with it.
DISC_VALUE, DISC_VOXEL = 4, (24, 35, 26)
_MAX_FILE_BYTES = 2**22


def download_sample(
    folder: str | os.PathLike[str], url: str = URL, sha256: str = SHA256, progress: bool = False
) -> Path:
    """Download the scan, 0.2 MB; if it is in the folder already, nothing is downloaded.

    Parameters
    ----------
    folder : path
        Made if it is missing.
    url, sha256 : str
        Address and SHA-256 of the scan.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The scan.

    Raises
    ------
    ImageError
        If the folder holds another file of that name.
    ModelError
        If the scan cannot be downloaded, or is not the one that was published.
    """
    from sct_rootlets.errors import ImageError, ModelError
    from sct_rootlets.models.download import download
    from sct_rootlets.sidecar import sha256_of

    folder = Path(folder)
    target = folder / f"{NAME}.nii.gz"
    if os.path.lexists(target):
        if target.is_file() and sha256_of(target) == sha256:
            return target
        raise ImageError(f"{target} is there already and is not the sample; write to another folder (-ofolder)")
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download(url, folder, sha256, limit_bytes=_MAX_FILE_BYTES, progress=progress).replace(target)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written to ({error.strerror or error})") from error
    except ModelError as error:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise ModelError(f"{error}; without the internet, try sct_rootlets demo") from error
    return target
