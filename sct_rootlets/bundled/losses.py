"""Losses of the networks: for rootlets, for the overview and for names."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from sct_rootlets.bundled.examples import UNKNOWN
from sct_rootlets.levels import ABOVE_C2, LAST_NAMED, N_NAMES, ROOTS
from sct_rootlets.segmentation.straight import VERTEBRA_BINS, row_logits

#: Output channels of a network for rootlets: levels (background and values 1 to 9), then cord, then roots (background
#: and `ROOTS`).
N_LEVELS, N_CORD, N_ROOTS = 1 + LAST_NAMED, 1, 1 + len(ROOTS)
#: Output channels of a network for the overview, and of one for names: background and
#: `sct_rootlets.synthesis.synthesis.SyntheticScan.segments`.
N_SEGMENTS = N_NAMES
#: Shares of the segments in the cord, counted in 60 random overviews.
SEGMENT_SHARES = (0.027, 0.035, 0.045, 0.056, 0.068, 0.084, 0.091, 0.083, 0.070, 0.440)


def rootlets_loss(output: torch.Tensor, levels: torch.Tensor, cord: torch.Tensor, roots: torch.Tensor) -> torch.Tensor:
    """Compute the loss of rootlets and their levels, of the cord and of roots.

    Parameters
    ----------
    output : torch.Tensor, shape (B, N_LEVELS + N_CORD + N_ROOTS, I, J, K)
    levels, cord, roots : torch.Tensor, shape (B, I, J, K)
    """
    by_level, by_cord, by_root = output.split([N_LEVELS, N_CORD, N_ROOTS], dim=1)
    known = (levels != UNKNOWN)[:, None]
    # Where rootlets are unknown, both output and truth are set to background: no loss, no gradient.
    certain = torch.zeros_like(by_level)
    certain[:, 0] = 20.0
    by_level = torch.where(known, by_level, certain)
    by_root = torch.where(known, by_root, certain[:, :N_ROOTS])
    levels, roots = levels * known[:, 0], roots * known[:, 0]
    return (
        presence_and_name_loss(by_level, levels)
        + 0.5 * F.binary_cross_entropy_with_logits(by_cord[:, 0], cord.float())
        + 0.5 * _dice_loss(by_cord.sigmoid(), cord[:, None])
        + 0.5 * F.cross_entropy(by_root, roots.long())
        + 0.5 * _dice_loss(by_root.softmax(1)[:, 1:], F.one_hot(roots.long(), N_ROOTS).movedim(-1, 1)[:, 1:])
    )


def presence_and_name_loss(
    logits: torch.Tensor, values: torch.Tensor, shares: tuple[float, ...] | None = None
) -> torch.Tensor:
    """Compute the loss of presence, and of names where something is present; a doubtful name leaves presence certain.

    Parameters
    ----------
    logits : torch.Tensor, shape (B, 1 + names, I, J, K)
        Background first.
    values : torch.Tensor, shape (B, I, J, K)
    shares : tuple of float, optional
        Frequency of each name; rare names weigh more, so that the network does not guess frequent names.
    """
    there = values > 0
    presence = logits[:, 1:].logsumexp(1) - logits[:, 0]
    loss = F.binary_cross_entropy_with_logits(presence, there.float())
    loss = loss + _dice_loss(presence.sigmoid()[:, None], there[:, None])
    if there.any():
        weight = None if shares is None else 1 / (len(shares) * torch.tensor(shares, device=logits.device))
        named = logits[:, 1:].movedim(1, -1)[there], values[there].long() - 1
        loss = loss + 0.3 * F.cross_entropy(*named, weight=weight)
    return loss


def _dice_loss(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Compute 1 - Dice over the batch, and over the classes that occur in it."""
    axes = (0, 2, 3, 4)
    truth = truth.float()
    overlap, total = (probability * truth).sum(axes), (probability + truth).sum(axes)
    there = truth.sum(axes) > 0
    dice = (2 * overlap + 1) / (total + 1)
    return 1 - dice[there].mean() if there.any() else 1 - dice.mean()


def overview_loss(output: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """Compute the loss of the cord and of its segments, each with the same weight.

    Parameters
    ----------
    output : torch.Tensor, shape (B, N_SEGMENTS, I, J, K)
    segments : torch.Tensor, shape (B, I, J, K)
    """
    return presence_and_name_loss(output, segments, SEGMENT_SHARES)


#: Standard deviation of the vertebral coordinate that the network learns, in vertebrae.
VERTEBRA_SD = 0.2


def names_loss(output: torch.Tensor, names: torch.Tensor, vertebrae: torch.Tensor) -> torch.Tensor:
    """Compute the loss of the names and of the vertebral coordinates of rows.

    Parameters
    ----------
    output : torch.Tensor, shape (B, N_SEGMENTS + len(VERTEBRA_BINS), rows, columns)
    names : torch.Tensor, shape (B, rows)
        0 where there is nothing.
    vertebrae : torch.Tensor, shape (B, rows)
        NaN where there is nothing, or it is not known.
    """
    by_name, by_vertebra = output.split([N_SEGMENTS, len(VERTEBRA_BINS)], dim=1)
    target = names.long() - ABOVE_C2  # -1 where there is nothing
    loss = F.cross_entropy(row_logits(by_name)[:, ABOVE_C2:], target, ignore_index=-ABOVE_C2, label_smoothing=0.02)
    bins = torch.from_numpy(VERTEBRA_BINS).to(output.device)
    share = torch.exp(-0.5 * ((vertebrae[:, None] - bins[:, None]) / VERTEBRA_SD) ** 2).nan_to_num(0)
    total = share.sum(dim=1, keepdim=True)
    known = total > 1e-3
    share = torch.where(known, share / total.clamp(min=1e-3), 0)
    log = row_logits(by_vertebra).log_softmax(dim=1)
    return loss - (share * log).sum() / known.sum().clamp(min=1)
