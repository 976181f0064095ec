"""Which scan results belong to: those of another scan with the same file name are not replaced unasked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sct_rootlets.image import Volume

#: Key of a sidecar under which the scan is that its files belong to.
SCAN = "Scan"


@dataclass(frozen=True)
class Scan:
    """The scan that results belong to: the image, or labels where there is no image.

    Attributes
    ----------
    path : Path, optional
        Its file, if it was read from one.
    folder : Path
        Folder of the results.
    is_image : bool
        Whether it is the image: the voxels of labels say nothing, as people correct them.
    load : callable
        Returns the volume.
    """

    path: Path | None
    folder: Path
    is_image: bool
    load: Callable[[], Volume]

    @classmethod
    def of_volume(cls, volume: Volume, folder: str | os.PathLike[str], is_image: bool = True) -> Scan:
        """Return the scan of a volume in memory."""
        return cls(volume.path, Path(folder), is_image, lambda: volume)

    @classmethod
    def of_file(cls, path: Path, folder: str | os.PathLike[str], is_image: bool = True) -> Scan:
        """Return the scan of a file, which is read only if that is needed."""

        def load() -> Volume:
            from sct_rootlets.nifti import load_volume

            return load_volume(path)

        return cls(path, Path(folder), is_image, load)

    @cached_property
    def record(self) -> dict[str, str | None]:
        """What sidecars hold: SHA-256 of the path from the folder of the results, of the grid, and of the voxels."""
        import numpy as np

        volume = self.load()
        grid = f"{volume.data.shape} {np.round(volume.affine, 2).tolist()}".replace("-0.0,", "0.0,")
        voxels = hashlib.sha256(np.ascontiguousarray(volume.data).data).hexdigest() if self.is_image else None
        return {"Path": self._path_digest, "Grid": _digest(grid), "Voxels": voxels}

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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
