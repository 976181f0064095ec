import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from published import Server, write_model, zip_folder  # noqa: E402

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models import install as module  # noqa: E402
from sct_rootlets.models import installed as records  # noqa: E402
from sct_rootlets.models.catalogue import Release  # noqa: E402
from sct_rootlets.models.download import Patience  # noqa: E402
from sct_rootlets.models.install import install, remove  # noqa: E402
from sct_rootlets.models.installed import FOLDERS_VARIABLE, find_installed, installed_names  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402
from sct_rootlets.models.store import find_model  # noqa: E402
from sct_rootlets.sidecar import sha256_of  # noqa: E402

NAME = "ours"
QUICK = Patience(timeout_s=0.5, attempts=2, pause_s=0.0)
HERE = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def trainers(tmp_path_factory):
    """Two models, which differ in their weights."""
    return [write_model(tmp_path_factory.mktemp(f"model{seed}"), seed) for seed in (1, 2)]


@pytest.fixture(scope="session")
def zips(trainers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zips")
    return [zip_folder(trainer, folder / f"model-r{n}.zip") for n, trainer in enumerate(trainers)]


@pytest.fixture
def server(zips):
    server = Server(zips[0].read_bytes())
    yield server
    server.close()


@cache
def weights_of(trainer):
    """What a model computes with, to tell one from another."""
    return [value.sum().item() for value in load_model(trainer).folds[0].values()]


def is_whole(trainer):
    """The installed model has its files and loads, and is the given one."""
    return weights_of.__wrapped__(find_model(NAME).folder) == weights_of(trainer)


def left_in(home):
    return sorted(path.name for path in home.iterdir() if path.name != ".lock")


def release_at(url, **facts):
    return Release(
        name="ours",
        version="r7",
        contrasts=("T2w",),
        levels="C2-T1",
        licence="MIT",
        citation="a paper",
        mirrors=(url,),
        **facts,
    )


def copies(source, target):
    shutil.copytree(source, target / source.name)
    return target / source.name


@pytest.mark.parametrize("spelling", ["zip", "file", "folder", "trainer", "http"])
def test_from_wherever_it_is(models, trainers, zips, server, spelling):
    source = {
        "zip": str(zips[0]),
        "file": zips[0].as_uri(),
        "folder": str(trainers[0].parent),
        "trainer": str(trainers[0]),
        "http": server.url,
    }[spelling]
    installed, new = install(NAME, [source], patience=QUICK)
    assert new
    assert installed == find_model(NAME)
    assert is_whole(trainers[0])
    assert len(left_in(models / NAME)) == 2, "the pointer and the model"
    assert installed.sha256 == (None if spelling in ("folder", "trainer") else sha256_of(zips[0]))
    assert install(NAME, [source], patience=QUICK) == (installed, False)


def test_what_is_recorded(models, zips):
    installed, _ = install(NAME, [str(zips[0])])
    record = json.loads((installed.folder / "source.json").read_text())
    assert (record["model_name"], record["model_urls"], record["custom"]) == (NAME, str(zips[0]), True)
    assert record["sha256"] == sha256_of(zips[0])
    assert set(record["files"]) == {
        f"nnUNetTrainer__nnUNetPlans__3d_fullres/{name}"
        for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth")
    }
    assert all(sha256_of(installed.folder / name) == digest for name, digest in record["files"].items())


@pytest.mark.parametrize("misbehaviour", [["broken"], ["half"], ["stalled"], ["half", "ignores_range"]], ids="-".join)
def test_a_flaky_line(models, trainers, server, misbehaviour):
    server.misbehave = list(misbehaviour)
    install(NAME, [server.url], patience=Patience(0.5, 3, 0.0))
    assert is_whole(trainers[0])


@pytest.mark.parametrize(
    ("always", "message"),
    [
        ("not_found", "HTTP 404"),
        ("broken", "HTTP 500"),
        ("truncated", "is not a zip file that can be unpacked"),
        ("login_page", "is not a zip file that can be unpacked"),
        ("stalled", "nothing came for"),
        ("redirect_loop", "redirects again and again"),
    ],
)
def test_a_bad_server_leaves_what_is_installed(models, trainers, zips, server, always, message):
    install(NAME, [str(zips[1])])
    server.always = always
    with pytest.raises(ModelError, match=message) as caught:
        install(NAME, [server.url], force=True, patience=QUICK)
    assert "\n" not in str(caught.value)
    assert is_whole(trainers[1])


def test_mirrors_are_tried_in_turn(models, trainers, zips, server):
    server.always = "not_found"
    with pytest.raises(ModelError, match=r"missing\.zip does not exist.*; http.*HTTP 404"):
        install(NAME, ["/missing.zip", server.url], patience=QUICK)
    install(NAME, [server.url, "ftp://example.org/x.zip", str(zips[0])], patience=QUICK)
    assert is_whole(trainers[0])


def test_a_part_of_a_download_outlives_a_failure_but_not_success(models, zips, server):
    server.content = os.urandom(100_000)
    server.misbehave = ["half", "broken"]
    with pytest.raises(ModelError, match="run this again to go on"):
        install(NAME, [server.url], patience=QUICK)
    assert [Path(name).suffix for name in left_in(models / NAME)] == [".mark", ".part"]
    install(NAME, [str(zips[0])])
    assert [name for name in left_in(models / NAME) if name.startswith(".")] == []


def test_names_of_the_catalogue(models, trainers, server, monkeypatch):
    digest = sha256_of_bytes(server.content)
    release = release_at(server.url, sha256=digest, bytes=len(server.content))
    monkeypatch.setattr(module, "read_catalogue", lambda: {"ours": release})
    with pytest.raises(ModelError, match="theirs is not a model that can be installed by its name; there are ours"):
        install("theirs")
    installed, _ = install("ours", patience=QUICK)
    assert installed.version == "r7"
    before = len(server.requests)
    assert install("ours", patience=QUICK) == (installed, False)
    assert len(server.requests) == before, "what is installed is not downloaded again"


def sha256_of_bytes(content):
    import hashlib

    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("local", [True, False])
def test_a_published_hash_is_not_overruled(models, zips, server, monkeypatch, local):
    release = release_at(server.url, sha256=sha256_of(zips[1]))
    monkeypatch.setattr(module, "read_catalogue", lambda: {"ours": release})
    with pytest.raises(ModelError, match="is not the file that was published: its SHA-256 differs"):
        install("ours", [str(zips[0])] if local else (), force=True, patience=QUICK)
    assert find_installed("ours") is None


def test_a_hash_is_recorded_once_and_checked_ever_after(models, trainers, zips):
    install(NAME, [str(zips[0])])
    with pytest.raises(ModelError, match="does not hold the files that were installed as ours before"):
        install(NAME, [str(zips[1])])
    assert is_whole(trainers[0])
    remove(NAME)
    with pytest.raises(ModelError, match="does not hold the files that were installed as ours before"):
        install(NAME, [str(zips[1])])
    assert find_installed(NAME) is None
    install(NAME, [str(trainers[0])])  # the same files in a folder are the same model
    assert is_whole(trainers[0])
    install(NAME, [str(zips[1])], force=True)
    assert is_whole(trainers[1])
    assert len(left_in(models / NAME)) == 2


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("damaged", ["the record", "the pointer"])
def test_a_recorded_hash_outlives_damage(models, trainers, zips, damaged, removed):
    installed, _ = install(NAME, [str(zips[0])])
    path = installed.folder / records.RECORD_FILE if damaged == "the record" else models / NAME / records.POINTER_FILE
    path.write_text("")
    if removed:
        remove(NAME)
    with pytest.raises(ModelError, match="installed as ours before; give it another name, or replace"):
        install(NAME, [str(zips[1])])
    install(NAME, [str(zips[1])], force=True)
    assert is_whole(trainers[1])


def test_a_model_that_is_replaced_while_it_is_looked_for(models, trainers, zips, monkeypatch):
    """Its folder is gone between the pointer and the record."""
    install(NAME, [str(zips[0])])
    loads, replaced = json.loads, []

    def replace_it(text):
        content = loads(text)
        if "folder" in content and not replaced:
            replaced.append(True)
            install(NAME, [str(zips[1])], force=True)
        return content

    monkeypatch.setattr(records.json, "loads", replace_it)
    assert find_model(NAME).folder.is_dir()
    assert replaced
    assert is_whole(trainers[1])


@pytest.mark.parametrize("source", ["http://[::1/x.zip", "~nosuchuser/x.zip", "x" * 300])
def test_sources_that_are_none(models, source):
    with pytest.raises(ModelError, match=r"not an address|does not exist|cannot be read"):
        install(NAME, [source])


def test_folders_of_others_are_passed_over(models, zips, monkeypatch):
    """As where SCT_ROOTLETS_MODELS names a folder that another group alone may enter."""
    install(NAME, [str(zips[0])])
    private = models.with_name("private")
    monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join([str(private), str(models), "~nosuchuser/models"]))

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    def refusing(method):
        return lambda self, *rest, **options: (
            refused(self) if self.is_relative_to(private) else method(self, *rest, **options)
        )

    for name in ("glob", "is_file", "exists", "is_dir", "stat"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    assert installed_names() == [NAME]
    assert find_model(NAME).name == NAME
    with pytest.raises(ModelError, match=r"private/m cannot be read \(Permission denied\)"):
        find_model(str(private / "m"))


def test_a_damaged_model_is_found_and_repaired(models, trainers, zips):
    installed, _ = install(NAME, [str(zips[0])])
    plans = next(installed.folder.rglob("plans.json"))
    plans.write_text(plans.read_text() + " ")
    with pytest.raises(
        ModelError, match=r"ours is not as it was installed: .*plans\.json has changed; run: sct_rootlets"
    ):
        find_model(NAME)
    assert install(NAME, [str(zips[0])])[1]
    assert is_whole(trainers[0])


def test_a_fold_that_was_added_is_noticed(models, zips):
    installed, _ = install(NAME, [str(zips[0])])
    fold = next(installed.folder.rglob("fold_0"))
    shutil.copytree(fold, fold.with_name("fold_1"))
    with pytest.raises(ModelError, match=r"fold_1/checkpoint_final\.pth was added"):
        find_model(NAME)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL_FOLDER"],)


def spoil_code(trainer):
    torch.save({"network_weights": Evil(), "init_args": {}}, trainer / "fold_0" / "checkpoint_final.pth")


def spoil_old_code(trainer):
    (trainer / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps(Evil()))


def spoil_script(trainer):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), trainer / "fold_0" / "checkpoint_final.pth")


def spoil_bomb(trainer):
    with zipfile.ZipFile(trainer / "fold_0" / "checkpoint_final.pth", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("data", bytes(10**7))


def spoil_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels={"background": 0, "sc": 1, "gm": 2}))


def spoil_number_of_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset["labels"].update(lvl3=3))


def spoil_order_of_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels={"background": 0, "lvl1": 2, "lvl2": 1}))


def spoil_kind_of_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels=["background", "lvl1", "lvl2"]))


def spoil_plans(trainer):
    edit(trainer / "plans.json", lambda plans: plans["configurations"].clear())


def spoil_json(trainer):
    (trainer / "plans.json").write_text("{")


def spoil_depth_of_json(trainer):
    (trainer / "plans.json").write_text("[" * 100000)


def spoil_second_fold(trainer):
    shutil.copytree(trainer / "fold_0", trainer / "fold_1")
    change_weights(trainer / "fold_1", lambda weights: weights.pop(next(iter(weights))))


def spoil_numbers(trainer):
    change_weights(trainer / "fold_0", lambda weights: weights["decoder.seg_layers.0.bias"].fill_(float("nan")))


def spoil_gaps_in_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels={"background": 0, "lvl2": 2, "lvl9": 9}))


def spoil_orientation(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(image_orientation="LLP"))


def spoil_configuration(**values):
    def spoil(trainer):
        edit(trainer / "plans.json", lambda plans: plans["configurations"]["3d_fullres"].update(values))

    return spoil


def spoil_transposition(trainer):
    edit(trainer / "plans.json", lambda plans: plans.update(transpose_forward=[0, 0, 2]))


def spoil_network(**values):
    def spoil(trainer):
        def change(plans):
            plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"].update(values)

        edit(trainer / "plans.json", change)

    return spoil


def spoil_values_of_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels={"background": 0, "lvl1": 1.0, "lvl2": 2.0}))


def spoil_regions(trainer):
    regions = {"background": 0, "lvl1": [1, 2], "lvl2": 2}
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels=regions, regions_class_order=[1, 2]))


def spoil_text_of_labels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(labels={"background": 0, "lvl1": "1", "lvl2": 2}))


def spoil_kind_of_transposition(trainer):
    edit(trainer / "plans.json", lambda plans: plans.update(transpose_forward=[0.0, 1.0, 2.0]))


def spoil_inheritance(trainer):
    edit(trainer / "plans.json", lambda plans: plans["configurations"]["3d_fullres"].update(inherits_from="3d_fullres"))


def spoil_channels(trainer):
    edit(trainer / "dataset.json", lambda dataset: dataset.update(channel_names={"0": "T1w", "1": "T2w"}))
    change_weights(trainer / "fold_0", double_first_layer)


def double_first_layer(weights):
    for name, value in weights.items():
        if value.ndim == 5 and value.shape[1] == 1:
            weights[name] = torch.cat([value, value], dim=1)


def spoil_stages(trainer):
    def change(plans):
        plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["n_stages"] = 3

    edit(trainer / "plans.json", change)


def change_weights(fold, change):
    checkpoint = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    change(checkpoint["network_weights"])
    torch.save(checkpoint, fold / "checkpoint_final.pth")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_code, "refused: fold_0/checkpoint_final.pth is damaged, or holds more than weights"),
        (spoil_old_code, "refused: fold_0/checkpoint_final.pth is damaged, or holds more than weights"),
        (spoil_script, "refused: fold_0/checkpoint_final.pth is damaged, or holds more than weights"),
        (spoil_bomb, "refused: its checkpoint_final.pth unpacks to 10 MiB|times its size, as no weights do"),
        (spoil_labels, "segments sc, gm; a model of rootlets has the classes lvl1"),
        (spoil_number_of_labels, "do not fit its plans"),
        (spoil_order_of_labels, "segments lvl1, lvl2; a model of rootlets"),
        (spoil_kind_of_labels, "is not what nnU-Net v2 writes"),
        (spoil_plans, "'3d_fullres' is missing from it"),
        (spoil_json, r"plans\.json cannot be read"),
        (spoil_depth_of_json, r"plans\.json cannot be read"),
        (spoil_second_fold, "do not fit its plans"),
        (spoil_numbers, "its weights hold NaN or infinite values"),
        (spoil_gaps_in_labels, "its labels have the values 2, 9, not 1, 2"),
        (spoil_orientation, "image_orientation is LLP"),
        (spoil_configuration(patch_size=[7, 7, 7]), r"patch_size is \[7, 7, 7\], where the network needs multiples of"),
        (spoil_configuration(patch_size=[32, 32]), r"patch_size is \[32, 32\]|spacing is"),
        (spoil_configuration(spacing=[1, 0, 1]), r"spacing is \[1, 0, 1\]"),
        (spoil_configuration(spacing=["a", 1, 1]), "is not what nnU-Net v2 writes"),
        (spoil_transposition, r"transpose_forward is \[0, 0, 2\]"),
        (spoil_stages, "is not what nnU-Net v2 writes"),
        (spoil_configuration(spacing=[0.1, 0.1, 0.1]), r"spacing is \[0\.1, 0\.1, 0\.1\]; expected 0\.2 to 10 mm"),
        (spoil_configuration(spacing=[1, -1, 1]), r"spacing is \[1, -1, 1\]; expected"),
        (spoil_configuration(spacing=[1, float("nan"), 1]), r"spacing is \[1, nan, 1\]; expected"),
        (spoil_configuration(spacing=[1, 50, 1]), r"spacing is \[1, 50, 1\]; expected"),
        (
            spoil_configuration(patch_size=[1024, 1024, 1024]),
            "patch_size is 1024; expected whole numbers from 1 to 512",
        ),
        (spoil_configuration(patch_size=[512, 512, 512]), "more than 33554432 voxels"),
        (spoil_configuration(patch_size=[32.0, 32.0, 32.0]), r"patch_size is 32\.0; expected whole numbers"),
        (spoil_configuration(patch_size=[0, 32, 32]), "patch_size is 0; expected whole numbers"),
        (spoil_configuration(patch_size=[-32, 32, 32]), "patch_size is -32; expected whole numbers"),
        (spoil_configuration(patch_size=32), "patch_size is 32; expected a list of whole numbers"),
        (
            spoil_configuration(resampling_fn_data_kwargs={"order": 3.5}),
            r"resampling_fn_data_kwargs order is 3\.5; expected whole numbers from 0 to 5",
        ),
        (
            spoil_network(n_conv_per_stage=[10**7, 1]),
            "n_conv_per_stage is 10000000; expected whole numbers from 1 to 32",
        ),
        (spoil_network(n_conv_per_stage=[1.0, 1.0]), r"n_conv_per_stage is 1\.0; expected whole numbers"),
        (spoil_network(n_conv_per_stage_decoder=[0]), "n_conv_per_stage_decoder is 0; expected whole numbers"),
        (spoil_network(n_stages=2.0), r"n_stages is 2\.0; expected whole numbers from 1 to 10"),
        (spoil_network(n_stages=10**6), "n_stages is 1000000; expected whole numbers from 1 to 10"),
        (spoil_network(features_per_stage=[2.0, 4.0]), r"features_per_stage is 2\.0; expected whole numbers"),
        (spoil_network(features_per_stage=[10**9, 4]), "features_per_stage is 1000000000; expected whole numbers"),
        (spoil_network(features_per_stage=[2048, 2048], n_conv_per_stage=[32, 32]), "more than 1000000000 weights"),
        (spoil_network(kernel_sizes=[[3, 3, 3], [3, 3.0, 3]]), r"kernel_sizes is 3\.0; expected whole numbers"),
        (spoil_network(kernel_sizes=[[3, 3, 3], [3, 3]]), r"kernel_sizes has \[3, 3\], where patch_size has 3 axes"),
        (spoil_network(strides=[[1, 1, 1], [0, 2, 2]]), "strides is 0; expected whole numbers from 1 to 8"),
        (spoil_network(strides=[[1, 1, 1], [2.0, 2.0, 2.0]]), r"strides is 2\.0; expected whole numbers"),
        (spoil_network(norm_op_kwargs={"eps": float("nan")}), "norm_op_kwargs eps is nan; expected a number"),
        (spoil_network(conv_op="torch.nn.Nothing"), "is not what nnU-Net v2 writes"),
        (
            spoil_regions,
            r"is a model of regions \(dataset\.json gives lvl1 the values \[1, 2\]\); only models with one",
        ),
        (spoil_text_of_labels, r"labels is .*1.*; expected whole numbers"),
        (spoil_values_of_labels, r"labels is 1\.0; expected whole numbers"),
        (spoil_kind_of_transposition, r"transpose_forward is 0\.0; expected whole numbers"),
        (spoil_inheritance, "3d_fullres inherits from itself"),
        (spoil_channels, "it takes 2 images at once; only models of one image can be run"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_models_that_are_not_sound(models, trainers, zips, tmp_path, monkeypatch, spoil, message, zipped):
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path / "evil"))
    install(NAME, [str(zips[1])])
    trainer = copies(trainers[0], tmp_path)
    spoil(trainer)
    source = zip_folder(trainer, tmp_path / "bad.zip") if zipped else trainer
    with pytest.raises(ModelError, match=message) as caught:
        install(NAME, [str(source)], force=True)
    assert "\n" not in str(caught.value)
    assert str(models) not in str(caught.value), "where it was unpacked is nobody's business"
    assert not (tmp_path / "evil").exists()
    assert is_whole(trainers[1])
    assert len(left_in(models / NAME)) == 2


def only_best(trainer):
    (trainer / "fold_0" / "checkpoint_final.pth").rename(trainer / "fold_0" / "checkpoint_best.pth")
    return trainer


@pytest.mark.parametrize("zipped", [True, False])
def test_a_model_with_the_best_checkpoint_alone_is_used_and_that_is_noted(models, trainers, tmp_path, zipped):
    trainer = only_best(copies(trainers[0], tmp_path))
    source = zip_folder(trainer, tmp_path / "best.zip") if zipped else trainer
    installed, _ = install(NAME, [str(source)])
    assert weights_of.__wrapped__(installed.folder) == weights_of(trainers[0])
    name = "nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0/checkpoint_best.pth"
    digest = sha256_of(trainers[0] / "fold_0" / "checkpoint_final.pth")
    assert find_model(NAME).describe()["SHA256"][name] == digest
    assert find_model(trainer).describe()["SHA256"]["fold_0/checkpoint_best.pth"] == digest
    [note] = installed.notes
    assert note.startswith("the model ours has no checkpoint_final.pth: its checkpoint_best.pth is used")
    install("other", [str(trainers[0])])
    assert find_model("other").notes == []


def test_beside_a_final_checkpoint_the_best_one_of_another_fold_is_not_read(models, trainers, tmp_path):
    trainer = copies(trainers[0], tmp_path)
    shutil.copytree(trainers[1] / "fold_0", trainer / "fold_1")
    (trainer / "fold_1" / "checkpoint_final.pth").rename(trainer / "fold_1" / "checkpoint_best.pth")
    assert len(load_model(trainer).folds) == 1
    assert weights_of.__wrapped__(trainer) == weights_of(trainers[0])
    assert find_model(trainer).notes == []


def test_plans_of_nnunet_before_2024(models, trainers, tmp_path):
    """The published r20240730 was trained then: its plans name numbers in place of an architecture."""
    trainer = copies(trainers[0], tmp_path)

    def before_2024(plans):
        configuration = plans["configurations"]["3d_fullres"]
        arguments = configuration.pop("architecture")["arch_kwargs"]
        configuration |= {
            "UNet_class_name": "PlainConvUNet",
            "UNet_base_num_features": 2,
            "unet_max_num_features": 320,
            "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
            "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
            "num_pool_per_axis": [1, 1, 1],
            "pool_op_kernel_sizes": arguments["strides"],
            "conv_kernel_sizes": arguments["kernel_sizes"],
        }

    edit(trainer / "plans.json", before_2024)
    install(NAME, [str(trainer)])
    old, new = load_model(find_model(NAME).folder).network, load_model(trainers[0]).network
    image = torch.linspace(-1, 1, 16**3).reshape(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(old(image), new(image), rtol=0, atol=0)


KILLED = """
import os, signal, sys
from pathlib import Path
from sct_rootlets.models import archive, install

countdown = int(sys.argv[2])

def stepping(function):
    def step(*arguments, **options):
        global countdown
        countdown -= 1
        if not countdown:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        countdown -= 1
        if not countdown:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return step

for owner, names in ((Path, ("mkdir", "replace", "unlink", "open")), (os, ("rmdir", "unlink", "fsync")),
                     (install, ("_write", "_replace", "_tidy", "_check_model")), (install.shutil, ("rmtree",))):
    for name in names:
        setattr(owner, name, stepping(getattr(owner, name)))
install.install("ours", [sys.argv[1]], force=True)
print("steps left", countdown)
"""


def in_process(code, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_killed_at_any_moment(models, trainers, zips):
    """The new model comes in place of the old one; the process is killed before and after every step it takes.

    Processes fork from one that has imported everything, as importing torch again for each would take minutes.
    """
    import signal

    install(NAME, [str(zips[1])])
    pristine = models.with_name("pristine")
    shutil.copytree(models, pristine, symlinks=True)
    outcomes = []
    for step in range(1, 1000):
        shutil.rmtree(models)
        shutil.copytree(pristine, models)
        child = os.fork()
        if not child:
            sys.argv = ["-c", str(zips[0]), str(step)]
            torch.set_num_threads(1)  # the threads of the parent are not here
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                exec(KILLED, {"__name__": "killed"})
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        outcomes.append(is_whole(trainers[0]))
        assert outcomes[-1] or is_whole(trainers[1])
        if step % 10 == 0:  # and the next installation is none the worse
            install(NAME, [str(zips[0])], force=True)
            assert is_whole(trainers[0])
            assert len(left_in(models / NAME)) == 2
    assert outcomes == sorted(outcomes), "first the old one, from some moment on the new one"
    assert len(outcomes) > 30, "steps were seen"
    assert {False, True} == set(outcomes)


TWO = """
import sys
from sct_rootlets.models.install import install
print(install("ours", sys.argv[1:])[1])
"""


def test_two_at_once(models, trainers, server):
    processes = [in_process(TWO, server.url) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(printed) == ["False", "True"]
    assert is_whole(trainers[0])
    assert len(left_in(models / NAME)) == 2


def test_a_process_that_waits_too_long(models, zips, monkeypatch):
    import filelock

    monkeypatch.setattr(module, "_MAX_LOCK_WAIT_S", 0.1)
    (models / NAME).mkdir(parents=True)
    with (
        filelock.FileLock(models / NAME / ".lock"),
        pytest.raises(ModelError, match="another process is changing ours"),
    ):
        install(NAME, [str(zips[0])])


def test_a_shared_folder_that_cannot_be_written_to(tmp_path, monkeypatch, trainers, zips):
    shared, mine = tmp_path / "shared", tmp_path / "mine"
    monkeypatch.setenv(FOLDERS_VARIABLE, str(shared))
    install(NAME, [str(zips[0])])
    refuse_writing(monkeypatch, shared)
    assert is_whole(trainers[0])
    with pytest.raises(
        ModelError, match=f"shared cannot be written to .*; begin {FOLDERS_VARIABLE} with a folder of yours"
    ):
        install("another", [str(zips[1])])
    monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join([str(mine), str(shared)]))
    install("another", [str(zips[1])])
    assert find_model("another").folder.is_relative_to(mine)
    assert find_model(NAME).folder.is_relative_to(shared)
    with pytest.raises(ModelError, match="does not hold the files that were installed as ours before"):
        install(NAME, [str(zips[1])])
    with pytest.raises(ModelError, match="cannot be written to"):
        remove(NAME)
    assert is_whole(trainers[0])


def refuse_writing(monkeypatch, folder):
    """Play a read-only folder, also for root."""
    make = Path.mkdir

    def mkdir(path, *arguments, **options):
        if path.is_relative_to(folder):
            raise PermissionError(13, "Permission denied", str(path))
        make(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def test_others_may_read_what_one_installs(models, zips):
    before = os.umask(0o022)
    try:
        installed, _ = install(NAME, [str(zips[0])])
    finally:
        os.umask(before)
    paths = [models / NAME, installed.folder, *installed.folder.rglob("*"), models / NAME / "current.json"]
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in paths)


def test_an_interrupt_leaves_nothing_behind(models, trainers, zips, monkeypatch):
    install(NAME, [str(zips[1])])

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_check_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        install(NAME, [str(zips[0])], force=True)
    assert len(left_in(models / NAME)) == 2
    assert is_whole(trainers[1])


def test_a_full_disk(models, trainers, zips, monkeypatch):
    install(NAME, [str(zips[1])])

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match=r"cannot be written to \(No space left on device"):
        install(NAME, [str(zips[0])], force=True)
    assert len(left_in(models / NAME)) == 2
    assert is_whole(trainers[1])


def test_removing(models, zips):
    install(NAME, [str(zips[0])])
    remove(NAME)
    assert find_installed(NAME) is None
    assert left_in(models / NAME) == ["removed.json"]
    with pytest.raises(ModelError, match="ours is not installed"):
        remove(NAME)
    with pytest.raises(ModelError, match="part of the package"):
        remove("bundled")


def test_names_that_are_paths_remove_nothing(models, tmp_path, zips):
    install(NAME, [str(zips[0])])
    shutil.copytree(models / NAME, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "thesis").mkdir()
    with pytest.raises(ModelError, match="cannot name a model"):
        remove("../elsewhere")
    assert (tmp_path / "elsewhere" / "thesis").is_dir()


@pytest.mark.parametrize("name", ["../ours", "a/b", "", ".hidden", "a b", "x" * 101, "ours\n"])
def test_names_that_are_none(models, zips, name):
    with pytest.raises(ModelError, match="cannot name a model"):
        install(name, [str(zips[0])])
    assert not models.exists()


def test_the_bundled_model_is_there_already():
    installed, new = install("bundled")
    assert installed.is_bundled
    assert not new


def test_the_published_layout(models, trainers, tmp_path):
    """A folder of the release, a trainer of another name, one fold of all data, and all that nnU-Net leaves beside."""
    trainer = shutil.copytree(trainers[0], tmp_path / "nnUNetTrainer_2000epochs__nnUNetPlans__3d_fullres")
    fold = (trainer / "fold_0").rename(trainer / "fold_all")
    checkpoint = torch.load(fold / "checkpoint_final.pth", weights_only=True)
    checkpoint |= {
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01}]},
        "logging": {"ema_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(-0.25)]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 2000,
        "init_args": {"configuration": "3d_fullres", "fold": "all", "device": torch.device("cpu")},
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    torch.save(checkpoint, fold / "checkpoint_final.pth")
    torch.save({"optimizer_state": {}}, fold / "checkpoint_best.pth")
    for name in (
        "dataset_fingerprint.json",
        "fold_all/debug.json",
        "fold_all/progress.png",
        "fold_all/validation/a.nii.gz",
    ):
        (trainer / name).parent.mkdir(exist_ok=True)
        (trainer / name).write_bytes(b"{}")
    archive = zip_folder(trainer, tmp_path / "model-spinal-rootlets-multicon-r20250318.zip")
    installed, _ = install("rootletseg-r20250318", [str(archive)])
    assert installed.version == "r20250318"
    assert len(installed.files) == 8
    assert weights_of.__wrapped__(installed.folder) == weights_of(trainers[0])
    assert load_model(installed.folder).mirror_axes == (0, 1, 2)
