import json

import pytest

LINKED = ("discs", "rootlets_cord", "rootlets_roots", "spinal_levels", "vertebral_levels")


def difference(before, after):
    return {name.rsplit("/", 1)[1] for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.mark.parametrize("order", ["install link unlink uninstall", "install unlink uninstall",
                                   "install link link install unlink unlink uninstall"])  # fmt: skip
def test_after_unlink_and_uninstall_every_file_is_what_it_was(bare, order):
    before = bare.state()
    for step in order.split():
        if step in ("install", "uninstall"):
            getattr(bare, step)()
        else:
            done = bare.run("sct_rootlets", step)
            assert done.returncode == 0, done.stderr
    assert bare.state() == before


def test_uninstalled_without_unlink_it_leaves_three_files_that_do_nothing(miniature):
    before = miniature.state()
    miniature.run("sct_rootlets", "link")
    miniature.uninstall()
    left = {"sct_rootlets_link.pth", "sct_rootlets", "sct_compute_spinal_levels"}
    assert difference(before, miniature.state()) >= left
    assert miniature.run("sct_deepseg", "-h").stdout == "SCT starts\ntasks rootlets\nargv -h\n"
    assert miniature.run("python", "-c", "print(1)").stderr == ""
    assert not (miniature.folder / "bin" / "sct_compute_spinal_levels").exists()  # a link that leads nowhere
    miniature.install()
    assert miniature.run("sct_rootlets", "unlink").stdout.count("removed") == 3


def test_linked_our_tasks_are_there_and_our_commands_on_the_path(miniature):
    done = miniature.run("sct_rootlets", "link")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in LINKED)
    shown = miniature.run("bin/sct_deepseg", "theirs", "-i", "t2.nii.gz").stdout
    assert shown == f"SCT starts\ntasks {' '.join(sorted((*LINKED, 'rootlets')))}\nargv theirs -i t2.nii.gz\n"
    for name in ("sct_rootlets", "sct_compute_spinal_levels"):
        assert "examples:" in miniature.run(f"bin/{name}", "-h").stdout
    own = (miniature.scripts / "sct_deepseg").read_bytes()
    assert own == (miniature.folder / "bin" / "sct_deepseg").read_bytes()


def test_before_it_is_linked_our_sct_deepseg_hands_over_to_that_of_sct(miniature):
    assert "sct_rootlets" in (miniature.scripts / "sct_deepseg").read_text()
    done = miniature.run("sct_deepseg", "-h")
    assert done.stdout == "SCT starts\ntasks rootlets\nargv -h\n"
    assert done.stderr.endswith("until it is linked: sct_rootlets link\n")


def test_without_a_copy_on_the_path_another_command_of_sct_is_copied(miniature):
    copy = miniature.folder / "bin" / "sct_deepseg"
    content = copy.read_bytes()
    copy.unlink()
    miniature.run("sct_rootlets", "link")
    assert (miniature.scripts / "sct_deepseg").read_bytes() == content


@pytest.mark.parametrize("kind", ["no tasks", "old"])
def test_an_sct_that_cannot_take_the_tasks_is_not_linked(miniature, kind):
    before = miniature.state()
    done = miniature.run("sct_rootlets", "link", MINIATURE=kind)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "does not take our tasks" in done.stderr
    assert difference(before, miniature.state()) <= {"sct_deepseg", "RECORD", "entry_points.txt"}


def test_a_command_of_another_is_not_replaced(miniature):
    other = miniature.folder / "bin" / "sct_compute_spinal_levels"
    other.write_text("#!/bin/sh\necho SCT has one now\n")
    done = miniature.run("sct_rootlets", "link")
    assert done.returncode == 1
    assert done.stderr == f"sct_rootlets link: error: {other} is there already and not ours; move it away\n"
    assert not (miniature.folder / "bin" / "sct_rootlets").exists()
    miniature.run("sct_rootlets", "unlink")
    assert "SCT has one now" in other.read_text()


def test_what_cannot_be_written_is_one_line_and_nothing_is_linked(miniature):
    blocked = miniature.site_packages / "sct_rootlets_link.pth"
    blocked.mkdir()
    done = miniature.run("sct_rootlets", "link")
    assert done.returncode == 1
    assert done.stderr.startswith("sct_rootlets link: error: cannot write")
    assert done.stderr.count("\n") == 1
    assert not (miniature.folder / "bin" / "sct_rootlets").is_symlink()


def test_the_record_stays_true(miniature):
    """What pip is told to delete: all of the package, and not SCT's command."""
    miniature.run("sct_rootlets", "link")
    code = (
        "import json; from importlib.metadata import distribution; d = distribution('sct_rootlets');"
        "print(json.dumps([[str(f), f.hash and f.hash.value, f.size, f.locate().stat().st_size] for f in d.files]))"
    )
    files = json.loads(miniature.run("python", "-c", code).stdout)
    assert not [name for name, *_ in files if name.endswith("bin/sct_deepseg")]
    assert [name for name, *_ in files if name.endswith("bin/sct_rootlets")]
    assert all(size == actual for _, digest, size, actual in files if digest)
