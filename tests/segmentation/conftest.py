"""A small model of random weights, whose output is nonetheless an intricate function of its input."""

import pytest

LABELS = {"lvl1": 1, "lvl2": 2, "lvl3": 3}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    from sct_rootlets.segmentation.model import build_network, plain_unet
    from sct_rootlets.training.export import write_model_folder

    torch.manual_seed(0)
    architecture = plain_unet((4, 8, 8), convolutions=(1, 1, 1))
    network = build_network(architecture, 1, len(LABELS) + 1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("norm.bias"):
                parameter.normal_(0, 0.5)
        # Of random weights one class mostly wins; give each a turn.
        head = network.decoder.seg_layers[-1]
        head.weight.normal_()
        head.weight -= head.weight.mean(dim=0)
        features = torch.randn(1, 1, 32, 32, 24)
        head.bias -= network(features).mean(dim=(0, 2, 3, 4))
    folder = tmp_path_factory.mktemp("model")
    return write_model_folder(folder, network, architecture, LABELS, (1.1, 0.9, 0.9), (32, 32, 24))
