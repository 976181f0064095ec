"""Figure of a training: loss and Dice of all folds over the epochs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from sct_rootlets.report.style import PAGE_INCH, group_colors, in_style, y_grid

#: Height of the figure.
HEIGHT_INCH = 2.6


@in_style
def curves_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the loss in training and validation, and Dice in validation with its moving mean, of each fold.

    Parameters
    ----------
    curves : mapping of str to pandas.DataFrame
        By the name of the fold, with the columns ``epoch``, ``train_loss``, ``validation_loss``, ``dice`` (of patches,
        the mean over levels) and ``mean_dice``. The fold ``"all"`` has no scans to validate on: what its log calls
        validation was trained on, and is left out.
    """
    figure = Figure(figsize=(PAGE_INCH, HEIGHT_INCH), layout="constrained")
    losses, dice = figure.subplots(1, 2)
    for (name, table), color in zip(curves.items(), group_colors(len(curves)), strict=True):
        label = f"fold {name}"
        losses.plot(table.epoch, table.train_loss, color=color, linewidth=0.8, label=label)
        if name != "all":
            losses.plot(table.epoch, table.validation_loss, color=color, linewidth=0.8, linestyle=(0, (3, 2)))
            dice.plot(table.epoch, table.dice, color=color, linewidth=0.4, alpha=0.5)
            dice.plot(table.epoch, table.mean_dice, color=color, linewidth=1.2, label=label)
    losses.set(title="loss: training, validation dashed", xlabel="epoch")
    dice.set(title="Dice of patches in validation, and its moving mean", xlabel="epoch", ylim=(-0.02, 1.02))
    losses.legend()
    y_grid(losses)
    y_grid(dice)
    return figure
