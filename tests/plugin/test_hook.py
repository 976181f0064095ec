import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_a_start_of_python_loads_three_small_modules():
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); before = set(sys.modules);"
        "from sct_rootlets.plugin import hook; hook.install(); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sct_rootlets", "sct_rootlets.plugin", "sct_rootlets.plugin.hook"]


def test_our_failure_is_one_warning_and_sct_goes_on(miniature):
    miniature.run("sct_rootlets", "link")
    done = miniature.run("bin/sct_deepseg", "-h", MINIATURE="no tasks")
    assert (done.returncode, done.stdout) == (0, "SCT starts\ntasks\nargv -h\n")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("sct_rootlets: warning: its tasks were not added to sct_deepseg (AttributeError:")


def test_an_old_sct_keeps_its_own_tasks_and_spelling(miniature):
    miniature.run("sct_rootlets", "link")
    done = miniature.run("bin/sct_deepseg", "-task", "rootlets", MINIATURE="old")
    assert done.stdout == "SCT starts\ntasks rootlets\nargv -task rootlets\n"
    assert "7.0 or later" in done.stderr


def test_imported_and_not_run_it_is_the_same(miniature):
    miniature.run("sct_rootlets", "link")
    code = "from spinalcordtoolbox.scripts import sct_deepseg; sct_deepseg.main(['-task', 'rootlets', '-i', 'a'])"
    done = miniature.run("python", "-c", code)
    assert "spinal_levels" in done.stdout
    assert "argv rootlets -i a" in done.stdout
    assert "spelling before SCT 7.0" in done.stderr


def test_other_imports_are_left_alone():
    from sct_rootlets.plugin.hook import Finder

    assert Finder.find_spec("spinalcordtoolbox") is None
    assert Finder.find_spec("spinalcordtoolbox.deepseg.inference") is None
