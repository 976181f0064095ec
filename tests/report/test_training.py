import pandas as pd
import pytest

from sct_rootlets.report.training import curves_figure


def table(n_epochs, dice):
    epochs = range(1, n_epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": [1 / epoch for epoch in epochs],
            "validation_loss": [2 / epoch for epoch in epochs],
            "dice": dice,
            "mean_dice": dice,
        }
    )


def test_each_fold_has_its_curves_and_the_fold_of_all_scans_no_validation():
    figure = curves_figure({"0": table(4, 0.5), "1": table(3, 0.6), "all": table(2, 0.9)})
    losses, dice = figure.axes
    assert [line.get_xdata().tolist() for line in losses.lines] == [
        [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3], [1, 2, 3], [1, 2],
    ]  # fmt: skip
    assert losses.lines[1].get_ydata() == pytest.approx([2, 1, 2 / 3, 0.5])
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["fold 0", "fold 1", "fold all"]
    assert {line.get_ydata()[0] for line in dice.lines} == {0.5, 0.6}
    assert len({line.get_color() for line in losses.lines}) == 3
