import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sct_rootlets import compute_spinal_levels
from sct_rootlets.levels import level_color
from sct_rootlets.output.figures import save_figures
from sct_rootlets.output.levels import stale_outputs
from sct_rootlets.report.levels import FIGURES, levels_figure
from sct_rootlets.report.style import SCREEN_DPI
from sct_rootlets.subject import Inputs, levels_from_labels


@pytest.fixture(scope="module")
def subject(phantom):
    return compute_spinal_levels(
        phantom.rootlets, cord=phantom.cord, discs=phantom.discs, pmj=phantom.pmj, image=phantom.image
    )


def test_panels_share_the_axis_along_the_cord(subject):
    figure = levels_figure(subject)
    sagittal, coronal, rulers = figure.axes
    assert sagittal.get_ylim() == coronal.get_ylim() == rulers.get_ylim()
    top, bottom = sagittal.get_ylim()[::-1]
    assert top < subject.levels.rostral_mm.min() < subject.levels.caudal_mm.max() < bottom


def test_levels_lie_where_the_picture_shows_them(subject):
    """Bars on the ruler, and the colour of the straightened cord beside them."""
    figure = levels_figure(subject)
    sagittal, _, rulers = figure.axes
    bars = {(round(bar.get_y(), 3), round(bar.get_height(), 3)): bar for bar in rulers.patches}
    overlay = sagittal.images[1]
    left, right, bottom, top = overlay.get_extent()
    values = overlay.get_array()
    column = int((0 - left) / (right - left) * values.shape[1])
    for row in subject.levels[subject.levels.kind == "spinal"].itertuples():
        bar = bars[round(row.rostral_mm, 3), round(row.length_mm, 3)]
        assert to_hex(bar.get_facecolor()).upper() == level_color(row.name)
        line = int((row.midpoint_mm - top) / (bottom - top) * values.shape[0])
        shown = overlay.to_rgba(values[line : line + 1, column : column + 1])[0, 0, :3]
        assert to_hex(shown).upper() == level_color(row.name)


def test_every_shifted_difference_is_written(subject):
    texts = {text.get_text() for text in levels_figure(subject).axes[2].texts}
    table = subject.correspondence
    assert {f"{value:+.1f}" for value in table[table.pairing == "shifted"].difference_mm} <= texts


def test_draws_what_there_is(phantom):
    alone = compute_spinal_levels(phantom.rootlets, cord=phantom.cord)
    assert len(levels_figure(alone).axes[0].images) == 1  # no scan, only the levels
    broken = phantom.image.data.astype(np.float32)
    broken[10:20] = np.nan
    with_nan = levels_from_labels(
        Inputs.load(cord=phantom.cord, discs=phantom.discs, image=(broken, phantom.cord.affine))
    )
    assert len(levels_figure(with_nan).axes) == 3


def test_the_user_s_settings_do_not_matter(subject, tmp_path):
    import matplotlib

    save_figures(FIGURES, subject, tmp_path, "ours_")
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black", "font.size": 30}):
        save_figures(FIGURES, subject, tmp_path, "theirs_")
    for ending in ("levels.png", "levels.svg"):
        assert (tmp_path / f"ours_{ending}").read_bytes() == (tmp_path / f"theirs_{ending}").read_bytes()


def test_a_new_figure_is_one_entry_of_the_table(subject, tmp_path, monkeypatch):
    monkeypatch.setitem(FIGURES, "new", lambda _: Figure())
    save_figures(FIGURES, subject, tmp_path, "t2_")
    drawn = [tmp_path / f"t2_{name}.{kind}" for name in ("levels", "new") for kind in ("png", "svg")]
    assert sorted(tmp_path.iterdir()) == drawn
    assert stale_outputs(tmp_path, "t2", []) == drawn  # where a later run does not draw them


def test_the_figure_names_its_scan_and_the_patient_s_directions(subject):
    figure = levels_figure(subject)
    assert figure.texts[0].get_text() == subject.image.name
    for axes, letters in zip(figure.axes, (["P", "A"], ["L", "R"]), strict=False):
        assert [text.get_text() for text in axes.texts if len(text.get_text()) == 1] == letters


def test_the_image_shows_through_rootlets_and_the_cord_s_outline_is_seen_on_any_ground(subject):
    figure = levels_figure(subject)
    coronal = figure.axes[1]
    assert coronal.images[1].get_alpha() < 0.5
    colors = {to_hex(color).upper() for lines in coronal.collections for color in lines.get_edgecolor()}
    assert {"#222222", "#FFFFFF"} <= colors
    assert {level_color(level.name) for level in subject.spinal.levels} <= colors


def test_one_kind_of_levels_has_no_empty_half(phantom):
    """The ruler of levels without the other kind is as near to the edge, and the figure narrower."""
    both = levels_figure(compute_spinal_levels(phantom.rootlets, cord=phantom.cord, discs=phantom.discs))
    for given in ({"rootlets": phantom.rootlets}, {"discs": phantom.discs}):
        figure = levels_figure(levels_from_labels(Inputs.load(cord=phantom.cord, **given)))
        rulers = figure.axes[2]
        right = max(bar.get_x() + bar.get_width() for bar in rulers.patches)
        assert right > 0.6 * rulers.get_xlim()[1]
        assert figure.get_size_inches()[0] < both.get_size_inches()[0] - 1


def test_a_notebook_shows_the_figure_and_the_tables_as_they_are(subject):
    """Without a backend: by the methods that IPython looks for."""
    from io import BytesIO

    from PIL import Image

    from sct_rootlets import levels_figure as public

    figure = public(subject)
    picture = Image.open(BytesIO(figure._repr_png_()))
    assert picture.format == "PNG"
    assert picture.size == tuple(np.floor(figure.get_size_inches() * SCREEN_DPI).astype(int))
    assert "<table" in subject._repr_html_()
