"""Starting a training from the weights of another model; nnU-Net's own way leaves out the layers that give classes."""

from __future__ import annotations

import torch

from sct_rootlets.errors import ModelError


def transfer(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> int:
    """Give a network the weights of a model of the same architecture.

    Of the layers that give classes, those of the levels that both have are taken: a class is the same level in both.

    Parameters
    ----------
    network : torch.nn.Module
    weights : dict of str to torch.Tensor

    Returns
    -------
    int
        How many parameters were taken, whole or in part.

    Raises
    ------
    ModelError
        If they are of another architecture.
    """
    network = getattr(network, "_orig_mod", network)
    own = {key: value.clone() for key, value in network.state_dict().items()}
    taken = 0
    for key, value in own.items():
        other = weights.get(key)
        if other is None or other.shape[1:] != value.shape[1:]:
            continue
        if other.shape != value.shape and ".seg_layers." not in key:
            continue
        n = min(len(other), len(value)) if value.ndim else None
        value[:n] = other[:n].to(value)
        taken += 1
    if taken < 0.9 * len(own):
        raise ModelError(
            f"only {taken} of {len(own)} parameters of the model to start from fit the network; its plan is another one"
        )
    network.load_state_dict(own)
    return taken
