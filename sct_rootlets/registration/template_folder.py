"""The files of a template in SCT's layout, such as PAM50: finding the folder, and reading volumes from it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.errors import ImageError
from sct_rootlets.image import GRID_TOLERANCE_MM, Volume
from sct_rootlets.nifti import load_volume, look_at_header
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

    def check_grids(self) -> None:
        """Check by the headers that all files show the field of view of the cord, as those of one template do.

        Each file is read by its own header: voxels may differ in size, and PAM50's posterior discs lie a voxel aside.
        A file with another field of view is of another template, such as PAM50's small copy, whose world is another.

        Raises
        ------
        ImageError
            If a file cannot be read, or shows another field of view, to a voxel.
        """
        if "cord" not in self.files:  # `require` names it
            return
        cord = look_at_header(self.files["cord"])
        for path in self.files.values():
            other = look_at_header(path)
            voxel_mm = np.max([np.abs(volume.affine[:3, :3]).sum(axis=1) for volume in (cord, other)], axis=0)
            if (np.abs(_field_of_view(other) - _field_of_view(cord)) > voxel_mm + GRID_TOLERANCE_MM).any():
                raise ImageError(
                    f"the template mixes files of different grids: {_describe_grid(other)}, and "
                    f"{_describe_grid(cord)}; give a folder with the files of one template alone (-template)"
                )


def _field_of_view(volume: Volume) -> np.ndarray:
    """Lowest and highest coordinates of the faces of a volume, shape (2, 3), RAS+ mm."""
    corners = np.array(list(product(*((-0.5, size - 0.5) for size in volume.data.shape))))
    points = apply_affine(volume.affine, corners)
    return np.array([points.min(axis=0), points.max(axis=0)])


def _describe_grid(volume: Volume) -> str:
    """Name, shape, voxel size, axes and field of view of a volume."""
    axes = zip("xyz", *np.round(_field_of_view(volume), 1), strict=True)
    return f"{volume.describe()} shows {', '.join(f'{name} {low:g} to {high:g}' for name, low, high in axes)} mm"


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
        If the folder holds no template, or its files show different fields of view.
    ModelError
        If the template cannot be downloaded, or differs from the published one.
    """
    template = read_template_folder(_choose_folder(folder, progress))
    template.check_grids()
    return template


def _choose_folder(folder: str | os.PathLike[str] | None, progress: bool) -> Path:
    if folder is not None:
        return Path(folder)
    if os.environ.get("SCT_DIR"):
        of_sct = Path(os.environ["SCT_DIR"]) / "data" / "PAM50"
        if of_sct.is_dir():
            return of_sct
    return download_template(progress=progress)


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
