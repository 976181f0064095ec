import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from sct_rootlets.models.architecture import build_network, last_layer, plain_unet, read_architecture  # noqa: E402


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_network_has_the_described_channels_and_resolutions(dimensions):
    network = build_network(plain_unet((2, 4, 6), (1, 2, 1), dimensions=dimensions), 3, 5)
    assert network(torch.zeros(1, 3, *[16] * dimensions)).shape == (1, 5, *[16] * dimensions)
    skips = network.encoder(torch.zeros(1, 3, *[16] * dimensions))
    assert [tuple(skip.shape[1:]) for skip in skips] == [
        (2, *[16] * dimensions),
        (4, *[8] * dimensions),
        (6, *[4] * dimensions),
    ]


def test_the_last_layer_makes_the_output():
    network = build_network(plain_unet((2, 4, 6)), 1, 5)
    weights = network.state_dict()
    assert weights[f"{last_layer(weights)}.bias"] is not None
    with torch.no_grad():
        network.get_parameter(f"{last_layer(weights)}.weight").zero_()
        network.get_parameter(f"{last_layer(weights)}.bias").copy_(torch.arange(5.0))
        output = network(torch.rand(1, 1, 8, 8, 8))
    torch.testing.assert_close(output, torch.arange(5.0).reshape(1, 5, 1, 1, 1).expand(output.shape))


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_plans_before_2024_name_numbers_in_place_of_an_architecture(name):
    """The configuration of nnU-Net 2.2 for the network that its later plans describe in full."""
    configuration = {
        "UNet_class_name": name,
        "UNet_base_num_features": 32,
        "unet_max_num_features": 100,
        "n_conv_per_stage_encoder": [1, 2, 2],
        "n_conv_per_stage_decoder": [1, 1],
        "pool_op_kernel_sizes": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    }
    architecture = read_architecture(configuration)
    arguments = architecture["arch_kwargs"]
    assert arguments["features_per_stage"] == [32, 64, 100]
    assert arguments["n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"] == [1, 2, 2]
    assert (arguments["strides"], arguments["kernel_sizes"]) == tuple(
        configuration[key] for key in ("pool_op_kernel_sizes", "conv_kernel_sizes")
    )
    assert build_network(architecture, 1, 3)(torch.zeros(1, 1, 4, 16, 16)).shape == (1, 3, 4, 16, 16)
