"""PAM50 as a source of anatomy; expected positions are those of the table in the data's README."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.errors import LabelError  # noqa: E402
from sct_rootlets.levels import ROOTS  # noqa: E402
from sct_rootlets.synthesis.random_anatomy import random_anatomy  # noqa: E402
from sct_rootlets.synthesis.synthesis import synthesize  # noqa: E402
from sct_rootlets.synthesis.template import load_template  # noqa: E402

SHAPE = (60, 60, 60)


_load_once = lru_cache(load_template)


@pytest.fixture
def template(real_data):
    return _load_once(real_data / "PAM50")


@pytest.fixture(scope="module")
def anatomy():
    return random_anatomy(np.random.default_rng(3))


def scan_of(anatomy, template):
    arc = np.mean([filum.path[0, 0] for filum in anatomy.fila if filum.value == 5])
    centre = anatomy.centerline.position(arc)[0]
    scan = synthesize(
        anatomy, "T2w", SHAPE, (0.8, 0.8, 0.8), tuple(centre), np.random.default_rng(0), template=template
    )
    return scan, np.array(centre)


@pytest.mark.real_data
def test_positions_are_those_of_pam50(template):
    middles = [479.2, 461.5, 445.2, 429.5, 413.0, 396.5, 380.5, 363.2]
    np.testing.assert_allclose(list(template.middles.values()), middles, atol=0.3)
    discs = {3: 454.0, 4: 435.5, 5: 417.0, 6: 400.5, 7: 385.0, 8: 368.0, 9: 346.5}
    for value, height in discs.items():
        assert template.discs[value] == pytest.approx(height, abs=0.3)


@pytest.mark.real_data
def test_rootlets_lie_in_the_subject_where_its_anatomy_has_them(template, anatomy):
    scan, centre = scan_of(anatomy, template)
    index = np.argwhere(scan.levels.numpy() == 5)
    assert len(index) > 50
    points = (index - (np.array(SHAPE) - 1) / 2) * 0.8 + centre
    foot = anatomy.centerline.project(points)
    expected = np.mean([filum.path[0, 0] for filum in anatomy.fila if filum.value == 5])
    assert foot.arc.mean() == pytest.approx(expected, abs=2.0)
    _, right, _ = anatomy.centerline.frame(foot.arc)
    aside = ((points - foot.foot) * right).sum(axis=1)
    roots = scan.roots.numpy()[tuple(index.T)]
    for number, root in enumerate(ROOTS, start=1):
        side = np.sign(aside[roots == number])
        assert (side == (-1 if root.startswith("left") else 1)).all()
    assert not ((scan.levels > 0) & (scan.cord > 0)).any()


@pytest.mark.real_data
def test_a_root_that_the_anatomy_lacks_is_left_out(template, anatomy):
    fila = tuple(one for one in anatomy.fila if (one.value, one.root) != (5, "left_dorsal"))
    scan, _ = scan_of(replace(anatomy, fila=fila), template)
    number = 1 + ROOTS.index("left_dorsal")
    assert not ((scan.levels == 5) & (scan.roots == number)).any()
    assert ((scan.levels == 5) & (scan.roots != number)).any()


def test_a_folder_without_the_labels_is_refused(tmp_path):
    with pytest.raises(LabelError, match=r"PAM50_cord\.nii\.gz is missing"):
        load_template(tmp_path)
