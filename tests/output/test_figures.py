"""Figures in files."""

from matplotlib.figure import Figure

from sct_rootlets.output.figures import save_figures


def draw(result):
    figure = Figure()
    figure.subplots().plot(result)
    return figure


def test_figures_are_written_as_svg_and_png_and_those_without_content_are_not(tmp_path):
    figures = {"line": draw, "nothing": lambda _: None}
    assert save_figures(figures, [1, 2, 3], tmp_path, png_dpi=50) == ["line"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line.png", "line.svg"]


def test_settings_take_part(tmp_path):
    for name, settings in (("plain", None), ("text", {"svg.fonttype": "none"})):
        save_figures({name: draw}, [1, 2, 3], tmp_path, png_dpi=50, settings=settings)
    assert "<text" in (tmp_path / "text.svg").read_text()
    assert "<text" not in (tmp_path / "plain.svg").read_text()
