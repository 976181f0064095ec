import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models.architecture import build_network, plain_unet  # noqa: E402
from sct_rootlets.nnunet.transfer import transfer_weights  # noqa: E402


def network(n_classes, features=(4, 8), seed=0):
    torch.manual_seed(seed)
    return build_network(plain_unet(features, convolutions=(1, 1)), 1, n_classes)


@pytest.mark.parametrize(("n_own", "n_other"), [(6, 6), (6, 10), (10, 6)])
def test_everything_is_taken_and_levels_that_both_have(n_own, n_other):
    own, other = network(n_own), network(n_other, seed=1)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    weights = other.state_dict()
    assert transfer_weights(own, weights) == len(before)
    both = min(n_own, n_other)
    for key, value in own.state_dict().items():
        if ".seg_layers." in key:
            assert torch.equal(value[:both], weights[key][:both])
            assert torch.equal(value[both:], before[key][both:])
        else:
            assert torch.equal(value, weights[key])


def test_the_same_image_gives_the_same_levels():
    own, other = network(6).eval(), network(10, seed=1).eval()
    transfer_weights(own, other.state_dict())
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(own(image), other(image)[:, :6])


def test_weights_in_half_precision_are_taken():
    own, other = network(6), network(6, seed=1)
    transfer_weights(own, {key: value.half() for key, value in other.state_dict().items()})
    for key, value in own.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, other.state_dict()[key], atol=1e-3, rtol=1e-3)


def test_another_architecture_is_refused_and_changes_nothing():
    own = network(6)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    with pytest.raises(ModelError, match=r"only \d+ of \d+ parameters of the model to start from fit"):
        transfer_weights(own, network(6, features=(8, 16)).state_dict())
    assert all(torch.equal(value, before[key]) for key, value in own.state_dict().items())
