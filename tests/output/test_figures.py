"""Figures in files."""

import re

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sct_rootlets.output.figures import save_figures
from sct_rootlets.report.style import in_style


@in_style
def draw(result):
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot(result)
    axes.set_title("a title")
    return figure


def test_figures_are_written_as_svg_and_png_and_those_without_content_are_not(tmp_path):
    figures = {"line": draw, "nothing": lambda _: None}
    assert save_figures(figures, [1, 2, 3], tmp_path, "t2_") == ["t2_line"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t2_line.png", "t2_line.svg"]


def test_letters_stay_letters_of_a_size_that_can_be_read_and_pictures_have_300_dpi(tmp_path):
    save_figures({"line": draw}, [1, 2, 3], tmp_path)
    text = (tmp_path / "line.svg").read_text()
    assert "a title</text>" in text
    sizes = re.findall(r"font(?:-size)?: (?:\w+ )?([0-9.]+)px", text)  # of 72 an inch, which are points
    assert min(map(float, sizes)) >= 7
    with Image.open(tmp_path / "line.png") as picture:
        assert picture.size == (600, 300)
        np.testing.assert_allclose(picture.info["dpi"], 300, atol=0.1)
