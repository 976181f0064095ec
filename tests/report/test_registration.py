"""The picture of a registration."""

import numpy as np
import pytest

from sct_rootlets.output.phantoms import write_template
from sct_rootlets.registration.to_template import register
from sct_rootlets.report.registration import registration_figure


@pytest.fixture(scope="module")
def registration(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return register(phantom.image, cord=phantom.cord, rootlets=phantom.rootlets, template=folder)


def test_it_shows_the_subject_before_and_after_with_levels_where_the_template_has_them(registration):
    figure = registration_figure(registration)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{plane}, {where}" for where in ("as scanned", "in template space")
                      for plane in ("sagittal", "coronal")]  # fmt: skip
    found = registration.alignment
    heights = [found.template.space.points(np.array([[pair.template.arc_mm, 0, 0]]))[0, 2] for pair in found.pairs]
    for axes in figure.axes[2:]:
        assert [text.get_text() for text in axes.texts] == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]
        np.testing.assert_allclose([line.get_ydata()[0] for line in axes.lines], heights)
    assert all(len(axes.images) == 2 for axes in figure.axes[1::2])  # image and rootlets
