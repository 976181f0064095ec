from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from sct_rootlets.bundled.examples import UNKNOWN, Example, random_example, random_overview, random_patch  # noqa: E402
from sct_rootlets.bundled.losses import N_CORD, N_LEVELS, N_ROOTS, rootlets_loss  # noqa: E402
from sct_rootlets.bundled.networks import TrainingSettings  # noqa: E402
from sct_rootlets.bundled.train import Training  # noqa: E402
from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.levels import ROOTS  # noqa: E402
from sct_rootlets.synthesis.random_anatomy import HELD_OUT_RANGES  # noqa: E402

TINY = TrainingSettings(
    features=(4, 8), convolutions=(1, 2), spacing_mm=1.6, patch=(24, 24, 24), batch=1, steps=50, bank=1, renewal=1000
)


@pytest.fixture(scope="module")
def example():
    return random_example(np.random.default_rng(2), 1.6, contrast="T2w", length_mm=(60, 61))


def test_an_example_is_standardised_and_labelled(example):
    assert float(example.image.mean()) == pytest.approx(0, abs=1e-4)
    assert float(example.image.std()) == pytest.approx(1, abs=1e-3)
    assert example.image.shape == example.levels.shape == example.cord.shape == example.roots.shape
    assert set(np.unique(example.levels)) <= {0, *range(2, 10), UNKNOWN}
    assert ((example.levels > 0) == (example.roots > 0)).all()


def test_patches_keep_labels_together_and_swap_sides_when_mirrored():
    shape = (20, 20, 20)
    x = torch.arange(20).expand(shape)
    roots = torch.where(x < 10, 1 + ROOTS.index("left_dorsal"), 1 + ROOTS.index("right_dorsal")).to(torch.uint8)
    example = Example(x.float(), torch.full(shape, 4, dtype=torch.uint8), torch.ones(shape), roots)
    mirrored = 0
    for seed in range(20):
        image, levels, _, sides = random_patch(example, (20, 20, 24), np.random.default_rng(seed))
        assert image.shape == levels.shape == (20, 20, 24)
        is_left = sides == 1 + ROOTS.index("left_dorsal")
        inside = levels > 0
        flipped = bool(image[0, 0, inside[0, 0]][0] > image[0, 0, inside[0, 0]][-1])
        mirrored += flipped
        assert torch.equal(is_left[inside], ((image >= 10) if flipped else (image < 10))[inside])
    assert 0 < mirrored < 20


def test_loss_is_least_where_the_output_is_right():
    levels = torch.zeros((1, 6, 6, 6), dtype=torch.uint8)
    levels[0, 2:4, 2, 2] = 5
    cord, roots = torch.zeros_like(levels), (levels > 0).to(torch.uint8)
    cord[0, :, 4, 4] = 1

    def logits(levels_said):
        by_level = torch.nn.functional.one_hot(levels_said.long(), N_LEVELS).movedim(-1, 1)
        by_root = torch.nn.functional.one_hot(roots.long(), N_ROOTS).movedim(-1, 1)
        assert by_root.shape[1] + by_level.shape[1] + N_CORD == N_LEVELS + N_CORD + N_ROOTS
        return 20.0 * torch.cat([by_level * 2 - 1, cord[:, None].long() * 2 - 1, by_root * 2 - 1], dim=1).float()

    right = rootlets_loss(logits(levels), levels, cord, roots)
    wrong_name = rootlets_loss(logits(torch.where(levels == 5, 6, levels)), levels, cord, roots)
    assert right < 0.01
    assert wrong_name > 0.5


def test_rare_names_weigh_more():
    """Two voxels of two names, one of which is rare: getting the rare one wrong costs more."""
    from sct_rootlets.bundled.losses import presence_and_name_loss

    values = torch.tensor([1, 2]).reshape(1, 2, 1, 1)

    def loss(first, second, shares):
        logits = torch.full((1, 3, 2, 1, 1), -8.0)
        logits[0, first, 0], logits[0, second, 1] = 8.0, 8.0
        return float(presence_and_name_loss(logits, values, shares))

    assert loss(1, 2, (0.9, 0.1)) < 0.01
    assert loss(1, 1, (0.9, 0.1)) > 5 * loss(2, 2, (0.9, 0.1))
    assert loss(1, 1, None) == pytest.approx(loss(2, 2, None))


def test_an_overview_shows_the_cord_by_segments():
    example = random_overview(np.random.default_rng(5), 2.0, contrast="T2w")
    assert ((example.levels > 0) == (example.cord > 0)).all()
    rows = [int(row[row > 0].float().mean().round()) for row in example.levels if (row > 0).any()]
    assert rows == sorted(rows, reverse=True)  # the first axis leads to superior
    assert len(set(rows)) > 2


def test_the_overview_is_exported_as_segments(tmp_path):
    from sct_rootlets.models.model import load_model

    settings = TrainingSettings(task="overview", features=(4, 8), convolutions=(1, 1), spacing_mm=2.0, batch=1,
                                patch=(32, 32, 16), steps=2, bank=1, renewal=100)  # fmt: skip
    training = Training(settings)
    training.train_step()
    model = load_model(training.export(tmp_path))
    assert list(model.labels)[:2] == ["above_C2", "C2"]
    assert list(model.labels)[-1] == "below_T1"
    assert model.spacing_mm == (2.0, 2.0, 2.0)


@pytest.fixture
def one_thread():
    """As worker processes have: sums over several threads are rounded otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_scans_made_by_other_processes_are_the_same():
    alone, helped = Training(TINY), Training(TINY, workers=1)
    one, other = alone.examples[3], helped.examples[3]
    helped.examples.pool.shutdown(cancel_futures=True)
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.levels, other.levels)


def test_exported_heads_are_those_of_the_network(tmp_path):
    """Cord and roots, stored beside the classes, come out as the whole network gives them."""
    from sct_rootlets.models.model import load_model

    training = Training(TINY)
    training.train_step()
    training.network.load_state_dict(training.average)
    model = load_model(training.export(tmp_path))
    assert set(model.heads) == {"levels", "cord", "roots"}
    image = torch.randn((1, 1, 24, 24, 24), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = training.network.eval()(image), model.network(image)
    assert found.shape[1] == N_LEVELS + N_CORD + N_ROOTS
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)  # stored in half precision


def test_training_learns_resumes_and_repeats(tmp_path):
    torch.set_num_threads(2)
    losses = []
    first = Training(TINY)
    for _ in range(12):
        losses.append(first.train_step())
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.1

    stopped = Training(TINY)
    for _ in range(5):
        stopped.train_step()
    stopped.save(tmp_path / "checkpoint.pt")
    resumed = Training(TINY)
    resumed.resume(tmp_path / "checkpoint.pt")
    resumed.bank.extend(stopped.bank)  # else a new scan is drawn first
    assert resumed.step == 5
    assert resumed.train_step() == pytest.approx(losses[5], rel=1e-4)


def test_weights_can_be_averaged_with_those_before(tmp_path):
    before, after = Training(TINY), Training(TINY)
    before.save(tmp_path / "checkpoint.pt")
    after.train_step()
    name = next(iter(after.average))
    expected = (before.average[name] + after.average[name]) / 2
    assert not torch.equal(before.average[name], after.average[name])
    after.average_with(tmp_path / "checkpoint.pt")
    torch.testing.assert_close(after.average[name], expected)


def test_training_begins_with_the_weights_of_a_model_folder(tmp_path):
    first = Training(TINY)
    folder = first.export(tmp_path)
    second = Training(replace(TINY, seed=1))
    second.start_from(folder)
    last = max(key for key in first.average if ".seg_layers." in key)
    for key, weights in second.network.state_dict().items():
        if ".seg_layers." not in key or key == last:
            torch.testing.assert_close(weights, first.average[key], atol=2e-3, rtol=2e-3)  # stored in half precision


def test_scans_have_the_contrasts_of_the_settings(monkeypatch):
    from sct_rootlets.bundled import networks

    drawn = []
    monkeypatch.setattr(networks, "random_example", lambda *arguments, **_: drawn.append(arguments[4]))
    settings = replace(TINY, contrasts=("INV1", "UNIT1"))
    for seed in range(20):
        networks.NETWORK_KINDS["rootlets"].synthetic(np.random.default_rng(seed), settings, "cpu", None, None)
    assert set(drawn) == {"INV1", "UNIT1"}


def test_other_settings_are_refused(tmp_path):
    Training(TINY).save(tmp_path / "checkpoint.pt")
    other = TrainingSettings(**{**TINY.__dict__, "learning_rate": 1e-4})
    with pytest.raises(ModelError, match="made under other settings"):
        Training(other).resume(tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="made under other settings"):
        Training(TINY, ranges=HELD_OUT_RANGES).resume(tmp_path / "checkpoint.pt")


def test_a_run_stops_in_time_and_leaves_a_checkpoint(tmp_path):
    steps = []
    training = Training(TINY)
    training.run(seconds=0.01, checkpoint=tmp_path / "checkpoint.pt", report=lambda step, loss: steps.append(step))
    assert steps == [1]
    assert (tmp_path / "checkpoint.pt").exists()


def test_the_command_trains_goes_on_and_exports(tmp_path, capsys):
    from sct_rootlets.bundled.__main__ import main
    from sct_rootlets.image import Volume
    from sct_rootlets.models.model import load_model
    from sct_rootlets.segmentation.predictor import predict

    command = [
        "-ofolder",
        str(tmp_path),
        "-features",
        "4,8",
        "-convolutions",
        "1,2",
        "-spacing",
        "1.6",
        "-patch",
        "24,24,24",
        "-batch",
        "1",
    ]
    command += ["-steps", "2"]
    assert main([*command, "-minutes", "0.0001"]) == 0
    assert "1 of 2 steps done" in capsys.readouterr().out
    assert main(command) == 0
    assert "2 of 2 steps done" in capsys.readouterr().out
    model = load_model(tmp_path)
    assert model.labels == {f"lvl{value}": value for value in range(1, 10)}
    volume = Volume(np.random.default_rng(0).random((30, 30, 30), np.float32), np.diag([1.6, 1.6, 1.6, 1.0]))
    assert predict(model, volume).shape == volume.data.shape
    assert main([*command, "-seed", "5"]) == 1
    assert "made under other settings" in capsys.readouterr().err


def test_nothing_is_learned_where_rootlets_are_unknown():
    """Whatever the network says there, loss and gradient of levels and roots are those of the rest."""
    levels = torch.zeros((1, 4, 4, 4), dtype=torch.uint8)
    levels[0, 0, 0, 0], levels[0, 2:] = 3, UNKNOWN
    roots = torch.where(levels == UNKNOWN, UNKNOWN, (levels > 0).to(torch.uint8))
    cord = torch.zeros_like(levels)
    one = torch.randn((1, N_LEVELS + N_CORD + N_ROOTS, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    other = one.clone()
    other[:, :N_LEVELS, 2:] += 5 * torch.randn_like(other[:, :N_LEVELS, 2:])
    other[:, N_LEVELS + N_CORD :, 2:] += 5 * torch.randn_like(other[:, N_LEVELS + N_CORD :, 2:])
    one.requires_grad_()
    loss = rootlets_loss(one, levels, cord, roots)
    torch.testing.assert_close(loss, rootlets_loss(other, levels, cord, roots))
    loss.backward()
    assert not one.grad[:, :N_LEVELS, 2:].any()
    assert one.grad[:, N_LEVELS, 2:].any()


def test_mirroring_leaves_unknown_roots_unknown():
    volume = torch.full((8, 8, 8), 255, dtype=torch.uint8)
    example = Example(torch.zeros(8, 8, 8), volume, torch.zeros_like(volume), volume)
    for seed in range(6):
        *_, roots = random_patch(example, (8, 8, 8), np.random.default_rng(seed))
        assert (roots == 255).all()
