import argparse
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageColor

from sct_rootlets.deepseg import SegmentedImage
from sct_rootlets.distribution import version
from sct_rootlets.errors import LinkError
from sct_rootlets.levels import level_color
from sct_rootlets.plugin import register, run
from sct_rootlets.report.page.picture import OUTLINE_OPACITY


@pytest.fixture
def script():
    """SCT's command in miniature, which remembers what it was called with, and SCT's lists with our tasks."""
    module = ModuleType("sct_deepseg")
    module.calls = []
    module.main = module.calls.append
    module.get_parser = lambda task=None: None
    lists = ModuleType("models")
    lists.MODELS, lists.TASKS = {}, {"rootlets": {}}
    register.add_tasks(lists)
    run.divert(module)
    yield module
    register.remove_tasks()


@pytest.mark.parametrize(
    ("argv", "same"),
    [(["-task", "rootlets", "-i", "a"], ["rootlets", "-i", "a"]), (["-i", "a", "-task", "canal"], ["canal", "-i", "a"]),
     (["-task", "seg_spinal_rootlets_t2w", "-i", "a"], ["rootlets", "-i", "a"]),
     (["rootlets_t2", "-i", "a"], ["rootlets", "-i", "a"]), (["-install-task", "rootlets"], ["rootlets", "-install"]),
     (["-task", "seg_sc_contrast_agnostic"], ["spinalcord"]),
     (["-install", "seg_ms_lesion", "-custom-url", "u"], ["lesion_ms", "-install", "-custom-url", "u"]),
     (["-custom-url", "u", "-install", "rootlets"], ["rootlets", "-install", "-custom-url", "u"]),
     (["rootlets", "-install", "-custom-url", "u"], ["rootlets", "-install", "-custom-url", "u"]),
     (["rootlets", "-install", "t2.nii.gz"], ["rootlets", "-install", "t2.nii.gz"]), (["-install"], ["-install"]),
     (["rootlets", "-i", "a"], ["rootlets", "-i", "a"]), (["-h"], ["-h"]), ([], []), (["-task"], ["-task"])],
)  # fmt: skip
def test_tasks_of_sct_are_left_to_it(script, argv, same, capsys):
    script.main(argv)
    assert script.calls == [same]
    assert ("SCT 7.0" in capsys.readouterr().err) == (argv != same)


def test_install_never_reaches_sct_which_would_delete_the_package_data(script, capsys):
    for task in register.added_tasks():
        script.main([task, "-install"])
        assert "comes with sct_rootlets" in capsys.readouterr().out
        with pytest.raises(SystemExit, match="is not replaced; leave out -custom-url"):
            script.main(["-task", task, "-install", "-custom-url", "http://localhost/model.zip"])
    assert script.calls == []


def test_our_options_cannot_be_shortened_inside_sct(script, capsys):
    theirs = argparse.ArgumentParser(add_help=False)
    theirs.add_argument("-largest")
    script.get_parser = lambda task=None: theirs
    parser = run.task_parser(script, "rootlets_cord")
    options = {option for action in parser._actions for option in action.option_strings}
    beginnings = {option[:n] for option in options for n in range(2, len(option))} - options
    assert {"-l", "-ld", "-thr", "-mod"} <= beginnings
    for beginning in beginnings:
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args([beginning, "1"])
        assert f"error: {beginning} is not an option; options that begin so: -" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["-version"])
    assert capsys.readouterr().out == f"{version()}\n"


@pytest.fixture
def segmented(script, monkeypatch):
    """The command with a parser as SCT's, and what it would segment."""

    def get_parser(task=None):
        theirs = argparse.ArgumentParser()
        theirs.add_argument("-i", nargs="+")
        theirs.add_argument("-custom-url", nargs="+")
        theirs.add_argument("-thr", type=float, dest="binarize_prediction")
        theirs.add_argument("-fill-holes", type=int, default=0)
        theirs.add_argument("-remove-small", nargs="+")
        theirs.add_argument("-largest", type=int, default=0, dest="keep_largest")
        theirs.add_argument("-qc-plane", choices=("Axial", "Sagittal"), default="Axial")
        for option in ("-o", "-qc", "-qc-seg", "-test-time-aug"):
            theirs.add_argument(option)
        theirs.add_argument("-v", type=int, default=1)
        return theirs

    script.get_parser = get_parser
    script.cuda = SimpleNamespace(is_available=lambda: False)
    calls = []
    monkeypatch.setattr(run, "_segment", lambda *given: calls.append(given[1]))
    return calls


def test_options_of_sct_that_change_nothing_are_noted(script, segmented, capsys):
    script.main(["rootlets_roots", "-i", "a", "-qc-plane", "Axial", "-qc-seg=seg.nii.gz"])
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in said] == [" -qc-plane of SCT is ignored", " -qc-seg of SCT is ignored"]
    script.main(["rootlets_roots", "-i", "a"])
    script.main(["rootlets_roots", "-i", "a", "-qc-plane", "Sagittal", "-v", "0"])
    assert capsys.readouterr().out == ""
    assert segmented == ["rootlets_roots"] * 3
    with pytest.raises(SystemExit, match="0"):
        script.main(["rootlets_roots", "-h"])
    assert "-qc-" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [(["-thr", "0"], "-thr and -fill-holes are not for rootlets_roots, which writes labels"),
     (["-fill-holes", "1"], "-thr and -fill-holes are not for rootlets_roots, which writes labels"),
     (["-custom-url", "u"], "-custom-url is not for rootlets_roots, whose model comes with sct_rootlets")],
)  # fmt: skip
def test_options_of_sct_that_labels_cannot_follow_are_bad_usage(script, segmented, options, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        script.main(["rootlets_roots", "-i", "a", *options])
    assert message in capsys.readouterr().err
    assert not segmented


def test_without_our_tasks_nothing_of_ours_is_looked_at(script, monkeypatch):
    register.remove_tasks()
    monkeypatch.setattr(register, "read_manifest", None)
    script.main(["-task", "spinal_levels", "-install"])
    assert script.calls == [["spinal_levels", "-install"]]


def test_an_old_sct_is_refused():
    module = ModuleType("sct_deepseg")
    module.get_parser = lambda: None
    with pytest.raises(LinkError, match="too old"):
        run.divert(module)


def test_the_report_of_sct_gets_our_picture_in_the_colours_of_the_levels(phantom_levels, tmp_path):
    import contextlib

    calls = []

    @contextlib.contextmanager
    def create_qc_entry(**given):
        calls.append(given)
        yield {f"path_{name}_img": tmp_path / f"{name}.png" for name in ("background", "overlay")}

    module = SimpleNamespace(qc2=SimpleNamespace(create_qc_entry=create_qc_entry))
    arguments = argparse.Namespace(qc=str(tmp_path / "qc"), qc_dataset="d", qc_subject=None)
    segmented = SegmentedImage(tmp_path / "a b.nii.gz", [], "", subject=phantom_levels)
    run.report(module, arguments, segmented, ["rootlets_cord", "-i", "a b.nii.gz"])
    [given] = calls
    assert given["path_input"] == tmp_path / "a b.nii.gz"
    assert (given["path_qc"], given["dataset"], given["subject"]) == (tmp_path / "qc", "d", None)
    assert given["cmdline"] == "sct_deepseg rootlets_cord -i 'a b.nii.gz'"
    scan, drawn = Image.open(tmp_path / "background.png"), Image.open(tmp_path / "overlay.png")
    assert scan.size == drawn.size
    pixels = np.asarray(drawn)
    colors = {tuple(map(int, color)) for color in pixels[pixels[..., 3] == OUTLINE_OPACITY][:, :3]}
    assert colors == {ImageColor.getrgb(level_color(level.name)) for level in phantom_levels.spinal.levels}
