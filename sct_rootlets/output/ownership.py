"""Which files a command may replace: those that it wrote itself and nobody has edited since, and never its inputs.

A sidecar that this package writes holds the SHA-256 of the files of its set (``Written``) and of its own content
(``ContentSHA256``). A file is known by the sidecar of its own name, or by the record of its set, such as
``t2_levels.json`` beside ``t2_levels.csv``. Every other file is the user's, and so are results of another scan.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sct_rootlets.bids import stem
from sct_rootlets.errors import ImageError
from sct_rootlets.output.scan import Scan
from sct_rootlets.sidecar import SCAN, WRITTEN, is_intact, read_object, sha256_of

#: Text about the outputs of commands with an output folder.
OTHER_FOLDER = "write to another folder (-ofolder)"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What the outputs of a command must not replace.

    Attributes
    ----------
    inputs : tuple of Path
        Inputs of the command. They and their JSON sidecars are never replaced.
    overwrite : bool
        Whether files of the user may be replaced.
    record : str, optional
        Name of the JSON file that lists all files of the set.
    may_overwrite : bool
        Whether the command has the option ``-overwrite``.
    elsewhere : str, optional
        How the user names the outputs otherwise, such as ``"write to another folder (-ofolder)"``.
    as_input : dict of str to str
        Option by which a file may be used as an input instead, by the ending of the file's name.
    scan : Scan, optional
        The scan that the outputs belong to; results of another scan are not replaced.
    """

    inputs: tuple[Path, ...] = ()
    overwrite: bool = False
    record: str | None = None
    may_overwrite: bool = True
    elsewhere: str | None = OTHER_FOLDER
    as_input: Mapping[str, str] = field(default_factory=dict)
    scan: Scan | None = None

    def without_options(self) -> Guard:
        """Return the same for a command without ``-overwrite`` and ``-ofolder``, such as `sct_rootlets bids`."""
        return replace(self, may_overwrite=False, elsewhere=None)

    def for_scan(self, scan: Scan) -> Guard:
        """Return the same for outputs that belong to a scan."""
        return replace(self, scan=scan)

    def check(self, targets: Sequence[Path]) -> None:
        """Raise an error if one of the targets exists and must not be replaced.

        Raises
        ------
        ImageError
            If a target is a folder, an input or its sidecar, a file that this package did not write, or that was
            edited since, or a result of another scan.
        """
        check_not_inputs(targets, self.inputs)
        if self.overwrite:
            return
        self.keep(foreign_files(targets, self.record))
        self._check_scan(targets)

    def keep(self, foreign: Sequence[Path]) -> None:
        """Raise an error, with the ways out, if there are files of the user that would be replaced.

        Raises
        ------
        ImageError
        """
        if foreign:
            more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
            raise ImageError(
                f"{foreign[0]}{more} was not written by this command, or was edited since, and would be replaced; "
                f"{self._ways_out(foreign[0])}"
            )

    def _check_scan(self, targets: Sequence[Path]) -> None:
        """Raise an error if a target is a result of another scan, by the sidecars that describe it."""
        if self.scan is None:
            return
        for target in targets:
            for sidecar in _sidecars_of(target, self.record) if os.path.lexists(target) else ():
                recorded = read_object(sidecar).get(SCAN)
                if isinstance(recorded, dict) and not self.scan.is_that_of(recorded):
                    raise ImageError(
                        f"{target} is a result of another scan with the same file name, and would be replaced; "
                        f"{self._ways_out(target)}"
                    )

    def _ways_out(self, path: Path) -> str:
        ways = ["replace it (-overwrite 1)" if self.may_overwrite else "move it away and run again"]
        if self.elsewhere:
            ways.append(self.elsewhere)
        ways += [
            f"use it as input ({option})" for ending, option in self.as_input.items() if path.name.endswith(ending)
        ]
        return ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])} or {ways[-1]}"


def check_not_inputs(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise an error if a target is a folder, or an input or its JSON sidecar, whatever their paths are called.

    Raises
    ------
    ImageError
    """
    inputs = [path for path in inputs if path.is_file()]
    sidecars = [path for path in map(_sidecar_of, inputs) if path.exists()]
    for target in targets:
        if target.is_dir():
            raise ImageError(f"{target} is a folder where a file is to be written; move it away")
        if not target.exists():
            continue
        if any(target.samefile(path) for path in inputs):
            raise ImageError(f"{target} is an input and would be replaced; choose another output name or folder")
        for sidecar in sidecars:
            if target.samefile(sidecar):
                raise ImageError(
                    f"{target} is the sidecar of an input and would be replaced; choose another output name or folder"
                )


def check_different(targets: Sequence[tuple[Path, Path]]) -> None:
    """Raise an error if two images of one call would write the same file.

    Parameters
    ----------
    targets : sequence of (Path, Path)
        Image and target.

    Raises
    ------
    ImageError
    """
    taken: dict[Path, Path] = {}
    for image, target in targets:
        place = target.parent.resolve() / target.name
        if place in taken:
            raise ImageError(
                f"{taken[place]} and {image} would both write {target}; run them one by one with names of their own, "
                "or leave one out"
            )
        taken[place] = image


def foreign_files(targets: Sequence[Path], record: str | None = None) -> list[Path]:
    """Find the targets that exist and that this package did not write, or that were edited since.

    Parameters
    ----------
    targets : sequence of Path
    record : str, optional
        Name of the JSON file that lists all files of the set, in the folder of the targets.
    """
    foreign = []
    for target in targets:
        if not os.path.lexists(target):
            continue
        try:
            ours = is_intact(read_object(target)) if target.suffix == ".json" else _is_recorded(target, record)
        except OSError:
            ours = False
        if not ours:
            foreign.append(target)
    return foreign


def _is_recorded(target: Path, record: str | None) -> bool:
    known = {recorded_digests(sidecar).get(target.name) for sidecar in _sidecars_of(target, record)} - {None}
    return bool(known) and sha256_of(target) in known


def _sidecars_of(target: Path, record: str | None) -> set[Path]:
    """Return the sidecar of a file's own name, and the record of its set."""
    return {_sidecar_of(target), *([] if record is None else [target.with_name(record)])}


def recorded_digests(sidecar: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that a sidecar lists, by name; empty if there is no such sidecar."""
    written = read_object(sidecar).get(WRITTEN)
    return written if isinstance(written, dict) else {}


def _sidecar_of(path: Path) -> Path:
    whole = stem(path.name)
    return path.with_name(f"{whole if whole != path.name else path.stem}.json")


def earlier_files(folder: Path, record: str, written: Sequence[Path]) -> list[Path]:
    """Find files of a set that an earlier run wrote and the last one did not, and that are unchanged since.

    Parameters
    ----------
    folder : Path
    record : str
        Name of the record of the set.
    written : sequence of Path
        What the last run wrote.
    """
    names = {path.name for path in written}
    return [folder / name for name in sorted(still_there(folder, record)) if name not in names]


def still_there(folder: Path, record: str) -> dict[str, str]:
    """Return what the earlier record lists and is unchanged."""
    return {
        name: digest
        for name, digest in recorded_digests(folder / record).items()
        if Path(name).name == name and (folder / name).is_file() and sha256_of(folder / name) == digest
    }
