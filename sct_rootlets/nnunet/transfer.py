"""Transfer of the weights of another model to a network, at the start of a training.

nnU-Net's own transfer leaves out the layers that give classes.
"""

from __future__ import annotations

import torch

from sct_rootlets.errors import ModelError

#: Smallest share of parameters that fit a network of the same architecture.
MIN_SHARE = 0.9


def transfer_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> int:
    """Copy the weights of a model to a network of the same architecture.

    In the layers that give classes, only the weights of levels that both have are copied: a class is the same level in
    both.

    Parameters
    ----------
    network : torch.nn.Module
        The network, changed in place.
    weights : dict of str to torch.Tensor

    Returns
    -------
    int
        Number of parameters that were copied, whole or in part.

    Raises
    ------
    ModelError
        If the weights are of another architecture; the network is unchanged then.
    """
    network = getattr(network, "_orig_mod", network)
    own = {key: value.clone() for key, value in network.state_dict().items()}
    n_transferred = 0
    for key, value in own.items():
        other = weights.get(key)
        if other is None or other.shape[1:] != value.shape[1:]:
            continue
        if other.shape != value.shape and ".seg_layers." not in key:
            continue
        n = min(len(other), len(value)) if value.ndim else None
        value[:n] = other[:n].to(value)
        n_transferred += 1
    if n_transferred < MIN_SHARE * len(own):
        raise ModelError(
            f"only {n_transferred} of {len(own)} parameters of the model to start from fit the network; its plan is "
            "another one"
        )
    network.load_state_dict(own)
    return n_transferred
