"""Trained folds as a zip file that SCT and ``sct_rootlets models install`` take, and its entry in a catalogue."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.errors import ModelError
from sct_rootlets.nnunet.dataset import NAME, SOURCES
from sct_rootlets.nnunet.train import RESULTS
from sct_rootlets.output.files import staged_outputs

#: Name of the folder in the zip file: that of nnU-Net's own trainer, which every nnU-Net has.
TRAINER = "nnUNetTrainer__nnUNetPlans__3d_fullres"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can give: the same weights, the same file


def finished_folds(folder: Path) -> list[Path]:
    """Folders of the folds that are trained to the end, in the output folder of a training."""
    results = folder / "nnUNet_results" / NAME / RESULTS
    return sorted(path.parent for path in results.glob("fold_*/checkpoint_final.pth"))


def export(
    folder: Path,
    archive: Path,
    version: str = "1.0",
    folds: Sequence[int] = (),
    licence: str = "",
    citation: str = "",
    url: str = "",
) -> Path:
    """Write a release: ``NAME.zip`` with what is needed to run the model, and ``NAME.json`` for ``data/weights.json``.

    Checkpoints are reduced to weights and what runs them (no optimizer, no paths), and named by nnU-Net's own trainer.
    The model is loaded from what is packed, without running code from it, before any file appears.

    Parameters
    ----------
    folder : Path
        Output folder of a training.
    archive : Path
        The zip file; its name is that of the model.
    version : str
    folds : sequence of int
        All that are finished, by default.
    licence, citation, url : str
        For the entry; `url` is where the file will be published.

    Returns
    -------
    Path
        Of the entry.

    Raises
    ------
    ModelError
        If a fold is not finished, or the model cannot be loaded.
    """
    from sct_rootlets.models.files import sha256_of
    from sct_rootlets.models.installed import check_name
    from sct_rootlets.models.requirements import check_classes

    if archive.suffix != ".zip":
        raise ModelError(f"{archive} must be named .zip")
    name = archive.stem
    check_name(name)
    found = {int(path.name.removeprefix("fold_")): path for path in finished_folds(folder)}
    missing = [fold for fold in folds if fold not in found]
    if missing or not found:
        what = f"fold {missing[0]} in {folder} is" if missing else f"no fold in {folder} is"
        raise ModelError(f"{what} trained to the end; run the training again to go on")
    from sct_rootlets.models.model import check_runs, load_model

    chosen = {fold: found[fold] for fold in sorted(folds or found)}
    with staged_outputs(archive.parent) as stage:
        inner = stage / "files" / TRAINER
        _write_model(inner, chosen)
        model = load_model(inner)
        check_classes(model.labels, name)
        check_runs(model)
        _zip(stage / archive.name, stage / "files", name)
        entry = _entry(folder, stage / archive.name, version, licence, citation, url)
        entry["sha256"] = sha256_of(stage / archive.name)
        (stage / f"{name}.json").write_text(json.dumps({name: entry}, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(stage / "files")
    return archive.with_suffix(".json")


def _write_model(target: Path, folds: dict[int, Path]) -> None:
    import torch

    from sct_rootlets.models.checkpoint import read_checkpoint

    target.mkdir(parents=True)
    source = next(iter(folds.values())).parent
    for name in ("plans.json", "dataset.json"):
        content = json.loads((source / name).read_text(encoding="utf-8"))
        (target / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for fold, path in folds.items():
        checkpoint = read_checkpoint(path / "checkpoint_final.pth")
        (target / f"fold_{fold}").mkdir()
        kept = {
            "network_weights": checkpoint["network_weights"],
            "init_args": {"configuration": checkpoint["init_args"]["configuration"]},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": None,
        }
        torch.save(kept, target / f"fold_{fold}" / "checkpoint_final.pth")


def _zip(path: Path, source: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in source.rglob("*") if file.is_file()):
            info = zipfile.ZipInfo(f"{name}/{file.relative_to(source).as_posix()}", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, file.read_bytes())


def _entry(folder: Path, archive: Path, version: str, licence: str, citation: str, url: str) -> dict[str, Any]:
    """What `sct_rootlets.models.catalogue.Release` holds."""
    from sct_rootlets.levels import level_name

    table = (folder / "nnUNet_raw" / NAME / SOURCES).read_text(encoding="utf-8").splitlines()
    columns = table[0].split("\t")
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in table[1:]]
    trained = [row for row in rows if row["side"] == "train"]
    values = {int(value) for row in trained for value in row["levels"].split()}
    return {
        "version": version,
        "contrasts": sorted({row["contrast"] for row in trained}),
        "levels": f"{level_name(min(values), 'spinal')}-{level_name(max(values), 'spinal')}",
        "mirrors": [url] if url else [],
        "sha256": None,
        "bytes": archive.stat().st_size,
        "licence": licence,
        "citation": citation,
    }
