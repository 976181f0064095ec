"""A model on disk, as the commands use it and as sidecars describe it: its name, version, folder and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sct_rootlets.errors import ModelError
from sct_rootlets.models import files
from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS, read_manifest


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A model on disk.

    Attributes
    ----------
    name : str
        Name of an installed model, or of the user's folder.
    version : str, optional
    folder : Path
    files : dict of str to str
        SHA-256 of each file by its path in `folder`.
    source : str, optional
        Address or path that an installed model came from.
    sha256 : str, optional
        SHA-256 of the archive that an installed model came in.
    cord_and_roots : Weights, optional
        The bundled model as it was loaded beside another model.
    """

    name: str
    version: str | None
    folder: Path
    files: dict[str, str]
    source: str | None = None
    sha256: str | None = None
    cord_and_roots: Weights | None = None

    @property
    def is_bundled(self) -> bool:
        """Whether this is the model that comes with the package."""
        return self.folder == BUNDLED_FOLDER

    def changed_files(self) -> list[str]:
        """Compare the files in the folder with the recorded ones; see `sct_rootlets.models.files.changed_files`."""
        return files.changed_files(self.folder, self.files)

    def describe(self) -> dict[str, Any]:
        """Return name, version and hashes, as sidecars give them."""
        hashes = {path: self.files[path] for path in self._read_paths()}
        facts: dict[str, Any] = {"Name": self.name, "Version": self.version, "SHA256": hashes}
        if self.source is not None:
            # Of a local file only the name is given: sidecars are published, and the path is private.
            is_public = self.source.startswith(("http://", "https://"))
            facts |= {"Source": self.source if is_public else Path(self.source).name, "ArchiveSHA256": self.sha256}
        if self.is_bundled:
            return facts
        return facts | {"CordAndRoots": (self.cord_and_roots or bundled_weights()).describe()}

    @property
    def notes(self) -> list[str]:
        """What the user should know of the model."""
        if not files.has_only_best(self.files):
            return []
        return [
            f"the model {self.name} has no checkpoint_final.pth: its checkpoint_best.pth is used, which nnU-Net writes "
            "before training has ended"
        ]

    def _read_paths(self) -> list[str]:
        """List the files that are read; the bundled model consists of several networks."""
        if not self.is_bundled:
            return files.read_paths(self.files)
        return sorted(
            path
            for network in NETWORKS
            for path in files.read_paths(name for name in self.files if name.startswith(f"{network}/"))
        )


def bundled_weights() -> Weights:
    """Return the model that comes with the package."""
    manifest = read_manifest()
    return Weights(name=manifest["name"], version=manifest["version"], folder=BUNDLED_FOLDER, files=manifest["files"])


def weights_in_folder(folder: Path) -> Weights:
    """Return the model in a folder of the user's own.

    Raises
    ------
    ModelError
        If it is not a folder.
    """
    if folder.is_file():
        raise ModelError(f"{folder} is a file; install it: sct_rootlets models install <name> -custom-url {folder}")
    if not folder.is_dir():
        raise ModelError(f"{folder} is neither an installed model nor a folder; see: sct_rootlets models list")
    return Weights(name=folder.resolve().name, version=None, folder=folder, files=files.hash_read_files(folder))
