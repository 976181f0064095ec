import logging
import sys

import pytest

from sct_rootlets.cli.progress import LOGGER, clear_steps, shown_steps


class Terminal:
    """A terminal that keeps what is written to it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_a_terminal_shows_the_step_that_runs_and_nothing_at_the_end(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with shown_steps(1):
        logging.getLogger("sct_rootlets.deepseg").info("segmenting part %d of %d", 1, 2)
        assert terminal.text.rsplit("\r")[-1].startswith("segmenting part 1 of 2 ...")
        with shown_steps(1):  # a command within the command
            LOGGER.info("drawing")
        assert terminal.text.rsplit("\r")[-1].startswith("drawing ...")
        clear_steps()
        assert terminal.text.endswith("\r" + " " * len("drawing ...") + "\r")
    LOGGER.info("not shown")
    assert "\n" not in terminal.text
    assert "not shown" not in terminal.text
    assert LOGGER.level == logging.NOTSET


@pytest.mark.parametrize(("verbosity", "expected"), [(0, ""), (1, ""), (2, "drawing ...\nwriting ...\n")])
def test_a_log_has_a_line_for_each_step_only_when_asked(verbosity, expected, capsys):
    with shown_steps(verbosity):
        LOGGER.info("drawing")
        LOGGER.info("writing")
    assert capsys.readouterr().err == expected


def test_nothing_is_shown_with_v_0(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with shown_steps(0):
        LOGGER.info("drawing")
    assert terminal.text == ""
