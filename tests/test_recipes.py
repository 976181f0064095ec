"""The recipes of CONTRIBUTING.md, followed as they are written: a task, a figure, naming evidence, a contrast."""

import re
from pathlib import Path

import numpy as np
import pytest

from sct_rootlets.correspondence import LEVEL_PITCH_MM
from sct_rootlets.levels import ABOVE_C2, N_NAMES

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def follow(title, module, number=0):
    """Run a recipe's code as if it stood in its module; returns what it defines."""
    section = re.split(r"^### ", PAGE, flags=re.MULTILINE)
    (recipe,) = (part for part in section if part.startswith(title))
    code = re.findall(r"```python\n(.*?)```", recipe, flags=re.DOTALL)[number]
    namespace = dict(vars(module))
    exec(compile("from __future__ import annotations\n" + code, "CONTRIBUTING.md", "exec"), namespace)
    return namespace


@pytest.fixture
def restored():
    """Tables that recipes add to are left as they were."""
    tables = []

    def restore(table):
        tables.append((table, dict(table)))

    yield restore
    for table, before in tables:
        table.clear()
        table.update(before)


def test_add_a_task(phantom, phantom_levels, restored, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    from sct_rootlets.cli.deepseg import get_task_parser
    from sct_rootlets.levels import Levels
    from sct_rootlets.nifti import load_volume
    from sct_rootlets.output.segmentation import label_map_sidecar, output_paths, save_label_maps
    from sct_rootlets.segmentation import tasks
    from sct_rootlets.segmentation.segment import Segmentation

    restored(tasks.TASKS)
    follow("Add a task", tasks)
    task = tasks.TASKS["rootlets_dorsal"]
    assert "Dorsal nerve rootlets" in get_task_parser("rootlets_dorsal").format_help()
    roots = np.where(phantom.rootlets.data > 0, 3, 0).astype(np.uint8)  # left ventral
    roots[: roots.shape[0] // 2] = np.where(phantom.rootlets.data[: roots.shape[0] // 2] > 0, 1, 0)  # left dorsal
    segmentation = Segmentation(
        rootlets=phantom.rootlets.data,
        roots=roots,
        cord=phantom.cord.data > 0,
        centerline=phantom_levels.centerline,
        spinal=Levels("spinal", "attachment", ()),
        name_sources=(),
        notes=(),
    )
    maps = [output.make(segmentation, phantom.image) for output in task.outputs]
    np.testing.assert_array_equal(maps[0], np.where(roots == 1, phantom.rootlets.data, 0))
    targets = output_paths(tmp_path / "t2.nii.gz", task, None)
    sidecars = [label_map_sidecar(output, phantom.image, segmentation, {}, {}) for output in task.outputs]
    save_label_maps(targets, task.outputs, maps, phantom.image, sidecars)
    np.testing.assert_array_equal(load_volume(tmp_path / "t2_rootlets_dorsal.nii.gz").data, maps[0])


def test_add_a_figure(phantom_levels, restored, tmp_path):
    from sct_rootlets.output.levels import save_levels
    from sct_rootlets.report import levels

    restored(levels.FIGURES)
    recipe = follow("Add a figure", levels)
    names = {path.name for path in save_levels(phantom_levels, tmp_path, prefix="t2")}
    assert {"t2_lengths.png", "t2_levels.png"} <= names
    (axes,) = recipe["lengths_figure"](phantom_levels).axes
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights, phantom_levels.levels.length_mm)


def test_add_a_kind_of_naming_evidence():
    pytest.importorskip("torch", reason="torch is not installed")
    from sct_rootlets.segmentation import evidence
    from sct_rootlets.segmentation.decode import decode_levels

    recipe = follow("Add a kind of naming evidence", evidence)
    arc = np.arange(60) + 0.5
    found = recipe["evidence_from_point"](arc, 30.0, 5)
    np.testing.assert_allclose(np.exp(found.log_probability[:, ABOVE_C2:]).sum(axis=1), 1)
    assert found.log_probability[30, ABOVE_C2:].argmax() + ABOVE_C2 == 5
    assert found.log_probability[int(30 + LEVEL_PITCH_MM), ABOVE_C2:].argmax() + ABOVE_C2 == 6
    presence = np.full(60, 0.05)
    presence[25:36] = 0.9
    (level,) = decode_levels(presence, [found]).levels
    assert level.name == "C5"
    assert found.log_probability.shape == (60, N_NAMES)


def test_add_a_contrast(restored):
    pytest.importorskip("torch", reason="torch is not installed")
    from sct_rootlets.synthesis import contrast

    restored(contrast.PROTOCOLS)
    follow("Add a contrast", contrast)
    signals = contrast.PROTOCOLS["T1w"].draw_signals(np.random.default_rng(0))
    assert signals[0][contrast.Tissue.FAT] > signals[0][contrast.Tissue.CSF]  # as in every T1w scan
