"""Which scan results belong to: those of another scan with the same file name are not replaced unasked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.sidecar import SCAN, read_sidecar

if TYPE_CHECKING:
    from sct_rootlets.image import Volume


@dataclass(frozen=True)
class Scan:
    """The scan that results belong to: the image, or labels where there is no image.

    Attributes
    ----------
    path : Path, optional
        Its file, if it was read from one.
    folder : Path
        Folder of the results.
    contents : callable
        Returns the SHA-256 of the grid and of the voxels of an image, as `record` has them.
    """

    path: Path | None
    folder: Path
    contents: Callable[[], Mapping[str, str | None]]

    @classmethod
    def of_volume(cls, volume: Volume, folder: str | os.PathLike[str], is_image: bool = True) -> Scan:
        """Return the scan of a volume in memory; the voxels of labels say nothing, as people correct them."""
        return cls(volume.path, Path(folder), lambda: _contents(volume, is_image))

    @classmethod
    def of_file(cls, path: Path, folder: str | os.PathLike[str], is_image: bool = True) -> Scan:
        """Return the scan of a file, which is read only if that is needed."""

        def contents() -> Mapping[str, str | None]:
            from sct_rootlets.nifti import load_volume

            return _contents(load_volume(path), is_image)

        return cls(path, Path(folder), contents)

    @classmethod
    def of_results(cls, path: Path, folder: str | os.PathLike[str]) -> Scan:
        """Return the scan that a label map belongs to by its sidecar, for results that are computed from this map."""
        recorded = read_sidecar(path).get(SCAN)
        if not isinstance(recorded, dict):
            return cls.of_file(path, folder, is_image=False)
        return cls(path, Path(folder), lambda: recorded)

    @cached_property
    def record(self) -> dict[str, str | None]:
        """What sidecars hold: SHA-256 of the path from the folder of the results, of the grid, and of the voxels."""
        contents = self.contents()
        return {"Path": self._path_digest, **{key: contents.get(key) for key in ("Grid", "Voxels")}}

    @cached_property
    def _path_digest(self) -> str | None:
        """The path itself may tell more than a published sidecar should."""
        if self.path is None:
            return None
        path = self.path.resolve()
        try:
            return _digest(Path(os.path.relpath(path, self.folder.resolve())).as_posix())
        except ValueError:  # on another drive of Windows
            return _digest(path.as_posix())

    def is_that_of(self, recorded: Mapping[str, Any]) -> bool:
        """Whether a recorded scan is this one: the same voxels, or on the same grid labels or a file of the same path.

        A file that was denoised in place stays the same scan; one of another grid is another subject's under the same
        name, as a loop over subjects leaves it in a folder for temporary files.

        Parameters
        ----------
        recorded : dict
            As `record` returns it.
        """
        own = self.record
        if own["Voxels"] is None or recorded.get("Voxels") is None:
            return own["Grid"] == recorded.get("Grid")
        if own["Voxels"] == recorded["Voxels"]:
            return True
        same_path = own["Path"] is not None and own["Path"] == recorded.get("Path")
        return same_path and own["Grid"] == recorded.get("Grid")


def _contents(volume: Volume, is_image: bool) -> dict[str, str | None]:
    import numpy as np

    grid = f"{volume.data.shape} {np.round(volume.affine, 2).tolist()}".replace("-0.0,", "0.0,")
    return {"Grid": _digest(grid), "Voxels": volume.voxels_digest if is_image else None}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
