from types import ModuleType

import pytest

from sct_rootlets.errors import LinkError
from sct_rootlets.plugin import register, run


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
     (["rootlets", "-i", "a"], ["rootlets", "-i", "a"]), (["-h"], ["-h"]), ([], []), (["-task"], ["-task"])],
)  # fmt: skip
def test_tasks_of_sct_are_left_to_it(script, argv, same, capsys):
    script.main(argv)
    assert script.calls == [same]
    assert ("before SCT 7.0" in capsys.readouterr().err) == (argv != same)


def test_install_never_reaches_sct_which_would_delete_the_package_data(script, capsys):
    for task in register.added_tasks():
        script.main([task, "-install"])
        assert "comes with sct_rootlets" in capsys.readouterr().out
        with pytest.raises(SystemExit, match="is not replaced; leave out -custom-url"):
            script.main(["-task", task, "-install", "-custom-url", "http://localhost/model.zip"])
    assert script.calls == []


def test_a_folder_that_is_not_whole_never_reaches_sct(script, monkeypatch, tmp_path):
    script.main([register.NNUNET_TASK, "-i", "a"])
    assert script.calls == [[register.NNUNET_TASK, "-i", "a"]]
    monkeypatch.setattr(register, "NNUNET_FOLDER", tmp_path)
    with pytest.raises(SystemExit, match=r"is incomplete .*source.json.*; install sct_rootlets again"):
        script.main([register.NNUNET_TASK, "-i", "a"])
    assert len(script.calls) == 1


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
