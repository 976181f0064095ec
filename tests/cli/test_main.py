import csv
import importlib
import json
import subprocess
import sys
import webbrowser
from argparse import SUPPRESS
from functools import partial

import pytest

from sct_rootlets.bundled import __main__ as bundled
from sct_rootlets.bundled import bundle
from sct_rootlets.cli import compute_spinal_levels, deepseg, demo, main, train
from sct_rootlets.distribution import version
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.segmentation.tasks import TASKS


def _with_first(run, word, argv):
    return run([word, *argv])


def test_demo_is_right_by_the_image_alone_and_ends_with_pictures(tmp_path, capsys, monkeypatch):
    """Each level lies nearest to the true level of its name, each disc within 3 mm; nothing is flagged."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    folder = tmp_path / "demo"
    assert main.main(["demo", "-ofolder", str(folder), "-open"]) == 0
    printed = capsys.readouterr().out
    assert opened == [(folder / "qc" / "index.html").as_uri()]
    for picture in (folder / "levels" / "sub-synthetic01_T2w_levels.png", folder / "registration" / "registration.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert str(picture) in printed
    assert (folder / "registration" / "warp_anat2template.nii.gz").exists()
    assert f"$ sct_compute_spinal_levels -i {folder / 'sub-synthetic01_T2w.nii.gz'} -ofolder" in printed
    assert "note:" not in printed

    truth = json.loads((folder / "sub-synthetic01_T2w_truth.json").read_text())
    true_mm = {name: sum(ends) / 2 - truth["discs"]["3"] for name, ends in truth["attachment"].items()}
    with (folder / "levels" / "sub-synthetic01_T2w_levels.csv").open() as file:
        rows = list(csv.DictReader(file))
    found_mm = {row["name"]: float(row["midpoint_mm"]) for row in rows if row["kind"] == "spinal"}
    assert list(found_mm) == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]
    for name, middle in found_mm.items():
        assert min(true_mm, key=lambda other: abs(true_mm[other] - middle)) == name
    discs_mm = {int(row["level"]): float(row["rostral_mm"]) for row in rows if row["kind"] == "vertebral"}
    assert len(discs_mm) >= 7
    for value, rostral in discs_mm.items():
        assert rostral == pytest.approx(truth["discs"][str(value)] - truth["discs"]["3"], abs=3)


def test_demo_without_a_browser_says_which_page_to_open(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    demo.show(tmp_path / "index.html", [], demo.get_parser().parse_args(["-open"]))
    note = f"note: no web browser could be started; open {tmp_path / 'index.html'} yourself\n"
    assert capsys.readouterr().out.endswith(note)


def test_a_step_of_the_demo_that_fails_ends_it(tmp_path):
    with pytest.raises(SctRootletsError, match="the demo did not finish"):
        demo.run_steps([("one", lambda words: 1, {"-i": "a"}), ("two", pytest.fail, {})], 0)


def test_phantom_writes_a_bids_dataset(tmp_path):
    assert main.main(["phantom", "-ofolder", str(tmp_path), "-v", "0"]) == 0
    assert (tmp_path / "dataset_description.json").exists()
    assert (tmp_path / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz").exists()


def test_phantom_writes_a_cohort(tmp_path, capsys):
    for folder in ("once", "twice"):
        assert main.main(["phantom", "-ofolder", str(tmp_path / folder), "-n", "1", "-seed", "3", "-v", "0"]) == 0
    names = {path.relative_to(tmp_path / "once") for path in (tmp_path / "once").rglob("*.*")}
    assert names == {path.relative_to(tmp_path / "twice") for path in (tmp_path / "twice").rglob("*.*")}
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()
    participants = (tmp_path / "once" / "participants.tsv").read_text().splitlines()
    assert participants[0].split("\t") == ["participant_id", "age", "sex", "height"]
    assert [line.split("\t")[0] for line in participants[1:]] == ["sub-cohort01"]
    with pytest.raises(SystemExit, match="2"):
        main.main(["phantom", "-ofolder", str(tmp_path), "-n", "0"])
    assert "must be from 1 to 1000" in capsys.readouterr().err


COMMANDS = {
    "sct_rootlets": (main.get_parser, main.main),
    "sct_compute_spinal_levels": (compute_spinal_levels.get_parser, compute_spinal_levels.main),
    "sct_deepseg": (deepseg.get_parser, deepseg.main),
    **{
        f"sct_deepseg {task}": (partial(deepseg.get_task_parser, task), partial(_with_first, deepseg.main, task))
        for task in TASKS
    },
    **{
        f"sct_rootlets {action}": (importlib.import_module(module).get_parser, partial(_with_first, main.main, action))
        for action, module, _ in main.ACTIONS
    },
    "python -m sct_rootlets.bundled": (bundled.get_parser, bundled.main),
    "python -m sct_rootlets.bundled.bundle": (bundle.get_parser, bundle.main),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_the_version(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        COMMANDS[command][1](["-version"])
    assert capsys.readouterr().out == f"{version()}\n"


def test_a_training_is_exported_with_the_version_that_is_given():
    assert train.get_parser().parse_args(["-ofolder", "a", "-version", "r7"]).version == "r7"
    assert train.get_parser().parse_args(["-ofolder", "a"]).version == "1.0"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_can_be_shortened(command, capsys):
    """Each beginning of each option, which is no option itself, is refused, and the options that begin so are named."""
    get_parser, run = COMMANDS[command]
    options = {option for action in get_parser()._actions for option in action.option_strings}
    shown = {option for action in get_parser()._actions if action.help != SUPPRESS for option in action.option_strings}
    assert {"-v", "-h", "-version"} <= options
    beginnings = (
        {option[:n] for option in shown for n in range(2, len(option))} - options - {"--", "-task"}
    )  # -task: before SCT 7.0
    for beginning in sorted(beginnings):
        named = sorted(option for option in shown if option.startswith(beginning))
        for word in (beginning, f"{beginning}=1"):
            with pytest.raises(SystemExit, match="2"):
                run([word, "1"])
            error = capsys.readouterr().err.splitlines()[-1]
            assert error.endswith(f"error: {beginning} is not an option; options that begin so: {', '.join(named)}")


@pytest.mark.parametrize("joined", ["-overwritten", "-v2", "-ilevels.nii.gz"])
def test_no_value_is_joined_to_its_option(joined, capsys):
    with pytest.raises(SystemExit, match="2"):
        deepseg.main(["rootlets", "-i", "t2.nii.gz", joined, "x"])
    assert f"unrecognized arguments: {joined}" in capsys.readouterr().err


def test_a_shortened_option_as_a_process():
    command = [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels", "-s", "s.nii.gz", "-l", "discs.nii.gz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("error: -l is not an option; options that begin so: -ldisc\n")


@pytest.mark.parametrize("argv", [[], ["nothing"], ["demo", "-nothing"], ["phantom"]])
def test_bad_usage_exits_2(argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(argv)
    assert "usage: sct_rootlets" in capsys.readouterr().err


@pytest.mark.parametrize(
    "module",
    ["main", "bids", "compute_spinal_levels", "deepseg", "demo", "evaluate", "group", "measure", "models", "phantom",
     "register", "roots", "sample", "link", "methods_text", "status", "train", "unlink"],
)  # fmt: skip
def test_help_needs_only_the_standard_library(module):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('numpy', 'torch', 'nibabel', 'scipy', 'pandas', 'matplotlib')));"
        f"from sct_rootlets.cli.{module} import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MISC" in done.stdout


def test_help_offers_the_methods_there_are():
    from sct_rootlets.spinal import DISTANCE_MM, METHODS

    arguments = {action.dest: action for action in compute_spinal_levels.get_parser()._actions}
    assert set(arguments["method"].choices) == set(METHODS)
    assert arguments["distance"].default == DISTANCE_MM
