import os
import subprocess
import sys
from pathlib import Path

import pytest

from sct_rootlets.cli import main
from sct_rootlets.cli.parsers import add_misc, command_parser
from sct_rootlets.cli.run import run
from sct_rootlets.errors import SctRootletsError


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (None, 0, ""),
        (
            SctRootletsError("t2.nii.gz is damaged; copy it again"),
            1,
            "test: error: t2.nii.gz is damaged; copy it again",
        ),
        (MemoryError(), 1, "test: error: out of memory; close other programs or crop the images"),
        (KeyboardInterrupt(), 130, "test: interrupted; two of three were written"),
    ],
)
def test_errors_are_one_line_and_a_status(error, status, message, capsys):
    parser = command_parser("test", "A command.", "  test")
    add_misc(parser)

    def command(_):
        if error is not None:
            raise error

    assert run(parser, [], command, "two of three were written") == status
    assert capsys.readouterr().err.strip() == message
    if error is not None:
        with pytest.raises(type(error)):
            run(parser, ["-v", "2"], command)


def test_a_command_can_be_called_from_a_thread_and_leaves_signals_alone(tmp_path):
    import signal
    import threading

    before = signal.getsignal(signal.SIGTERM)
    command = ["phantom", "-ofolder", str(tmp_path), "-v", "0"]
    status = []
    thread = threading.Thread(target=lambda: status.append(main.main(command)))
    thread.start()
    thread.join()
    status.append(main.main(command))
    assert status == [0, 0]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("4", "4")])
def test_small_matrices_need_no_threads(given, expected, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    parser = command_parser("test", "A command.", "  test")
    add_misc(parser)
    seen = []
    assert run(parser, [], lambda _: seen.append(os.environ["OPENBLAS_NUM_THREADS"])) == 0
    assert seen == [expected]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", [["models", "list"], ["models", "path"]])
def test_a_text_that_is_the_result_is_not_lost_without_a_word(command):
    """As on a full disk; where files are the result, the text on the terminal may be lost."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sct_rootlets.cli.main", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "the output could not be printed: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1
