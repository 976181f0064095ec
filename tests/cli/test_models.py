import json
import subprocess
import sys

import pytest

from sct_rootlets.cli import deepseg
from sct_rootlets.cli.models import main
from sct_rootlets.models.installed import FOLDERS_VARIABLE, installed_names
from sct_rootlets.models.manifest import BUNDLED_FOLDER
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import bundled_weights
from sct_rootlets.sidecar import sha256_of


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def zipped(tmp_path, request):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    from published import write_model, zip_folder

    labels = {f"lvl{value}": value for value in range(1, 1 + getattr(request, "param", 2))}
    return zip_folder(write_model(tmp_path / "model", labels=labels), tmp_path / "our-model.zip")


def test_help_without_what_downloads():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'pooch', 'requests', 'filelock', 'platformdirs')));"
        "from sct_rootlets.cli.models import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SCT_ROOTLETS_MODELS" in done.stdout


@pytest.mark.parametrize("argv", [[], ["list"]])
def test_the_list_names_every_model(models, capsys, argv):
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    by_name = {line.split()[0]: line for line in lines if line}
    assert by_name["bundled"].split()[1:3] == [bundled_weights().version, "yes"]
    assert by_name["rootletseg-r20250318"].split()[1:3] == ["r20250318", "no"]
    assert "10.1162/imag_a_00218" in by_name["rootletseg-r20240730:"]
    assert f"installed into: {models}" in lines


def test_install_verify_path_remove(models, zipped, capsys):
    assert main(["install", "ours", "-custom-url", str(zipped)]) == 0
    out = capsys.readouterr().out
    assert "was installed" in out
    assert "-model ours" in out
    assert main(["install", "ours", "-custom-url", str(zipped)]) == 0
    assert "is installed already" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("ours")] == ["yes"]
    assert main(["path", "ours"]) == 0
    folder = find_model("ours").folder
    assert capsys.readouterr().out == f"{folder}\n"
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.count("as they were installed") == 2
    next(folder.rglob("plans.json")).unlink()
    assert main(["verify", "ours"]) == 1
    assert "plans.json is missing; install it again" in capsys.readouterr().err
    assert main(["remove", "ours"]) == 0
    assert main(["path", "ours"]) == 1
    assert "ours is not installed" in capsys.readouterr().err


def test_paths(models, capsys):
    assert main(["path"]) == 0
    assert main(["path", "bundled"]) == 0
    assert capsys.readouterr().out == f"{models}\n{BUNDLED_FOLDER}\n"


@pytest.mark.parametrize(
    "argv",
    [["install"], ["remove"], ["instal", "ours"], ["list", "-force"], ["verify", "-custom-url", "x"],
     ["install", "-nothing"]],
)  # fmt: skip
def test_bad_usage_exits_2(models, argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "usage: sct_rootlets models" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["install", "theirs"], "there are rootletseg-r20250318, rootletseg-r20240730"),
        (["install", "ours", "-custom-url", "/none.zip"], "/none.zip does not exist"),
        (["remove", "ours"], "ours is not installed"),
        (["verify", "ours"], "ours is not installed"),
        (["remove", "bundled"], "part of the package"),
    ],
)
def test_errors_are_one_line(models, argv, message, capsys):
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_damaged_model_is_listed_and_named(models, zipped, capsys):
    main(["install", "ours", "-custom-url", str(zipped), "-v", "0"])
    (models / "ours" / "current.json").write_text("{")
    assert main(["list"]) == 0
    assert "damaged" in capsys.readouterr().out
    assert main(["verify"]) == 1
    assert "ours in " in capsys.readouterr().err


def test_sct_deepseg_installs_in_the_spelling_of_sct(models, zipped, capsys):
    assert deepseg.main(["rootlets", "-install"]) == 0
    assert "comes with the package" in capsys.readouterr().out
    assert deepseg.main(["rootlets", "-install", "-custom-url", str(zipped)]) == 0
    assert "-model our-model" in capsys.readouterr().out
    assert deepseg.main(["rootlets", "-install", "-model", "ours", "-custom-url", zipped.as_uri(), "-v", "0"]) == 0
    assert capsys.readouterr().out == ""
    assert installed_names() == ["our-model", "ours"]
    with pytest.raises(SystemExit, match="2"):
        deepseg.main(["rootlets", "-i", "t2.nii.gz", "-custom-url", str(zipped)])


@pytest.mark.parametrize(
    "zipped",
    [9, 8],
    indirect=True,
    ids=["to T1", "to C8, as r20240730"],
)
def test_an_installed_model_segments_and_is_named_in_the_sidecar(models, zipped, phantom_folder, tmp_path):
    image = phantom_folder / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz"
    assert main(["install", "ours", "-custom-url", str(zipped), "-v", "0"]) == 0
    target = tmp_path / "out.nii.gz"
    command = ["rootlets_cord", "-i", str(image), "-o", str(target), "-model", "ours", "-v", "0"]
    assert deepseg.main(command) == 0
    model = json.loads((tmp_path / "out_seg.json").read_text())["Model"]
    installed = find_model("ours")
    assert (model["Name"], model["Version"], model["Source"]) == ("ours", installed.version, "our-model.zip")
    assert model["ArchiveSHA256"] == sha256_of(zipped)
    assert set(model["SHA256"].values()) == set(installed.files.values())
    assert model["CordAndRoots"]["Name"] == bundled_weights().name
