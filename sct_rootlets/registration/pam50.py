"""The template: finding PAM50, or another one in SCT's layout, and reading what registration needs of it.

PAM50: De Leener 2018 (NeuroImage 165:170); its rootlets: Bédard 2025 (doi 10.1162/IMAG.a.123).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.errors import ImageError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume

#: What a template may hold, by the number that SCT's ``info_label.txt`` gives it, and the end of the file's name.
CONTENTS = {
    "t1": (0, "t1"),
    "t2": (1, "t2"),
    "t2s": (2, "t2s"),
    "cord": (3, "cord"),
    "levels": (7, "levels"),
    "discs": (11, "label_discPosterior"),
    "discs_in_cord": (10, "label_disc"),
    "spinal_levels": (15, "spinal_levels"),
    "rootlets": (16, "rootlets"),
    "rootlets_midpoint": (17, "rootlets_midpoint"),
}
#: The labels of PAM50, as they were in its repository on 4 July 2025, with their SHA-256. They suffice: intensities
#: only help the eye.
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
_LARGEST_FILE = 2**24


@dataclass(frozen=True)
class Template:
    """Where the files of a template are.

    Attributes
    ----------
    folder : Path
    files : dict of str to Path
        By the names of `CONTENTS`; those that are there.
    expected : dict of str to Path
        Where all of them would be.
    """

    folder: Path
    files: dict[str, Path]
    expected: dict[str, Path]

    def need(self, *names: str) -> None:
        """Check that files are there.

        Raises
        ------
        ImageError
            Naming all that are missing.
        """
        missing = [str(self.expected[name].name) for name in names if name not in self.files]
        if missing:
            raise ImageError(
                f"the template in {self.folder} is incomplete: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing; give another folder (-template), or leave it out to "
                "download PAM50's labels"
            )

    def volume(self, name: str) -> Volume | None:
        """Read one of the files; None if the template has none."""
        return load_volume(self.files[name]) if name in self.files else None


def find_template(folder: str | os.PathLike[str] | None = None, progress: bool = False) -> Template:
    """Find the template: in a folder, else in ``$SCT_DIR/data/PAM50``, else among what was downloaded, else download.

    Parameters
    ----------
    folder : path, optional
        In SCT's layout: ``template/`` and ``info_label.txt`` in it, or the files alone.
    progress : bool
        Show how a download gets on.

    Raises
    ------
    ImageError
        If the folder holds no template.
    ModelError
        If it cannot be downloaded, or is not what was published.
    """
    if folder is not None:
        return read_folder(Path(folder))
    if os.environ.get("SCT_DIR"):
        inside = Path(os.environ["SCT_DIR"]) / "data" / "PAM50"
        if inside.is_dir():
            return read_folder(inside)
    return read_folder(download_template(progress=progress))


def read_folder(folder: Path) -> Template:
    """List the files of a template in a folder."""
    if not folder.is_dir():
        raise ImageError(f"{folder} is no folder; give the one of a template, such as $SCT_DIR/data/PAM50")
    place = folder / "template" if (folder / "template").is_dir() else folder
    listed = _listed(place / "info_label.txt")
    found = sorted(path.name for path in place.glob("*.nii*"))
    if not found:
        raise ImageError(
            f"{place} holds no template: no NIfTI file is in it (-template takes a folder like SCT's PAM50)"
        )
    expected = {}
    for name, (number, ending) in CONTENTS.items():
        alike = [file for file in found if re.fullmatch(rf"[A-Za-z0-9]+(_small)?_{ending}\.nii(\.gz)?", file)]
        expected[name] = place / (listed.get(number) or (alike[0] if alike else f"PAM50_{ending}.nii.gz"))
    return Template(place, {name: path for name, path in expected.items() if path.exists()}, expected)


def _listed(info: Path) -> dict[int, str]:
    """File names by number, of SCT's list of a template's files."""
    if not info.exists():
        return {}
    lines = (line.split(",") for line in info.read_text(encoding="utf-8", errors="replace").splitlines())
    return {int(parts[0]): parts[-1].strip() for parts in lines if len(parts) > 2 and parts[0].strip().isdigit()}


def cache_folder() -> Path:
    """Where a downloaded template is kept: ``SCT_ROOTLETS_TEMPLATE``, or a folder of the user's."""
    named = os.environ.get("SCT_ROOTLETS_TEMPLATE")
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("sct_rootlets") / "PAM50"


def download_template(folder: Path | None = None, url: str = URL, progress: bool = False) -> Path:
    """Download the labels of PAM50, about 0.7 MB; what is there and has the right hash is not downloaded again.

    Parameters
    ----------
    folder : Path, optional
        By default `cache_folder`.
    url : str
        With ``{commit}`` and ``{name}`` in it.
    progress : bool

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If it cannot be downloaded, or a file is not the one that was published.
    """
    from sct_rootlets.errors import ModelError
    from sct_rootlets.models.download import download
    from sct_rootlets.models.files import sha256_of

    folder = cache_folder() if folder is None else folder
    for name, sha256 in PUBLISHED.items():
        target = folder / name
        if target.exists() and sha256_of(target) == sha256:
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            download(
                url.format(commit=COMMIT, name=name), folder, sha256, limit_bytes=_LARGEST_FILE, progress=progress
            ).replace(target)
        except OSError as error:
            raise ModelError(f"{folder} cannot be written to ({error.strerror or error})") from error
        except ModelError as error:
            raise ModelError(f"{error}; or give a folder with PAM50: -template <folder>") from error
    return folder
