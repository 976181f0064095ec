"""The files of a template in SCT's layout, such as PAM50: finding the folder, and reading volumes from it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.errors import ImageError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume
from sct_rootlets.registration.pam50 import download_template

#: Contents of a template: the number that SCT's ``info_label.txt`` gives a file, and the ending of the file's name.
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


@dataclass(frozen=True)
class TemplateFolder:
    """Paths of the files of a template.

    Attributes
    ----------
    folder : Path
        The folder that holds the files.
    files : dict of str to Path
        Existing files, by the names of `CONTENTS`.
    expected : dict of str to Path
        Paths of all files of `CONTENTS`, existing or not.
    """

    folder: Path
    files: dict[str, Path]
    expected: dict[str, Path]

    def require(self, *names: str) -> None:
        """Check that files exist.

        Raises
        ------
        ImageError
            If any is missing; all missing files are named.
        """
        missing = [str(self.expected[name].name) for name in names if name not in self.files]
        if missing:
            raise ImageError(
                f"the template in {self.folder} is incomplete: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing; give another folder (-template), or leave it out to "
                "download PAM50's labels"
            )

    def load(self, name: str) -> Volume | None:
        """Read a file; None if the template does not have it."""
        return load_volume(self.files[name]) if name in self.files else None


def find_template(folder: str | os.PathLike[str] | None = None, progress: bool = False) -> TemplateFolder:
    """Find the template: in a folder, else in ``$SCT_DIR/data/PAM50``, else in the cache, else by download.

    Parameters
    ----------
    folder : path, optional
        In SCT's layout: ``template/`` and ``info_label.txt`` in it, or the files alone.
    progress : bool
        Show the progress of a download.

    Raises
    ------
    ImageError
        If the folder holds no template.
    ModelError
        If the template cannot be downloaded, or differs from the published one.
    """
    if folder is not None:
        return read_template_folder(Path(folder))
    if os.environ.get("SCT_DIR"):
        of_sct = Path(os.environ["SCT_DIR"]) / "data" / "PAM50"
        if of_sct.is_dir():
            return read_template_folder(of_sct)
    return read_template_folder(download_template(progress=progress))


def read_template_folder(folder: Path) -> TemplateFolder:
    """List the files of a template in a folder.

    Raises
    ------
    ImageError
        If the folder holds no template.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder; give the one of a template, such as $SCT_DIR/data/PAM50")
    inner = folder / "template" if (folder / "template").is_dir() else folder
    listed = _read_file_list(inner / "info_label.txt")
    existing = sorted(path.name for path in inner.glob("*.nii*"))
    if not existing:
        raise ImageError(
            f"{inner} holds no template: no NIfTI file is in it (-template takes a folder like SCT's PAM50)"
        )
    expected = {}
    for name, (number, ending) in CONTENTS.items():
        alike = [file for file in existing if re.fullmatch(rf"[A-Za-z0-9]+(_small)?_{ending}\.nii(\.gz)?", file)]
        expected[name] = inner / (listed.get(number) or (alike[0] if alike else f"PAM50_{ending}.nii.gz"))
    return TemplateFolder(inner, {name: path for name, path in expected.items() if path.exists()}, expected)


def _read_file_list(info: Path) -> dict[int, str]:
    """Read the file names by number from SCT's list of a template's files."""
    if not info.exists():
        return {}
    lines = (line.split(",") for line in info.read_text(encoding="utf-8", errors="replace").splitlines())
    return {int(parts[0]): parts[-1].strip() for parts in lines if len(parts) > 2 and parts[0].strip().isdigit()}
