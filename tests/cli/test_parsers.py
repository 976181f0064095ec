import argparse
import importlib
import re

import pytest

from sct_rootlets.cli import compute_spinal_levels, deepseg, main
from sct_rootlets.cli.parsers import HELP_WIDTH, positive, toolbox_parser


def test_whole_numbers_from_1_up():
    assert positive("3") == 3
    with pytest.raises(argparse.ArgumentTypeError, match="must be 1 or more, not 0"):
        positive("0")
    with pytest.raises(ValueError, match="invalid literal"):
        positive("1.5")


def test_a_parser_for_the_toolbox_is_complete():
    parser = toolbox_parser("link", "Link.")
    assert parser.prog == "sct_rootlets link"
    assert vars(parser.parse_args(["-sct-dir", "sct", "-v", "0"])) == {"sct_dir": "sct", "v": 0}
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["-nothing"])


def all_parsers():
    """Parsers of all commands, by what is typed."""
    parsers = {"sct_rootlets": main.get_parser(), "sct_deepseg": deepseg.get_parser()}
    parsers["sct_compute_spinal_levels"] = compute_spinal_levels.get_parser()
    parsers |= {f"sct_deepseg {task}": deepseg.get_task_parser(task) for task in deepseg.TASKS}
    parsers |= {
        f"sct_rootlets {action}": importlib.import_module(module).get_parser() for action, module, _ in main.ACTIONS
    }
    return parsers


PARSERS = all_parsers()


@pytest.mark.parametrize("command", PARSERS)
def test_help_has_the_headings_of_the_toolbox_and_one_width(command, monkeypatch):
    """Whatever the terminal; lines that begin with spaces, such as examples, are not filled."""
    texts = []
    for columns in ("40", "250"):
        monkeypatch.setenv("COLUMNS", columns)
        texts.append(PARSERS[command].format_help())
    text = texts[0]
    assert texts[1] == text
    headings = re.findall(r"^([A-Z][A-Z ]+)\b.*:$", text, flags=re.MULTILINE)
    assert headings[-1] == "MISC"
    assert set(headings) <= {"MANDATORY ARGUMENTS", "OPTIONAL ARGUMENTS", "MISC"}
    assert headings == sorted(headings, key=["MANDATORY ARGUMENTS", "OPTIONAL ARGUMENTS", "MISC"].index)
    filled = text.split("examples:")[0].splitlines()
    assert max(len(line) for line in filled if not line.startswith("  ")) <= HELP_WIDTH
    assert re.search(rf"^examples:\n  {command.split()[0]}", text, flags=re.MULTILINE)


@pytest.mark.parametrize("command", PARSERS)
def test_usage_has_every_mandatory_argument_and_agrees_with_the_help(command):
    usage = PARSERS[command].format_help().split("\n\n")[0]
    assert usage.startswith(f"usage: {command} ")
    assert usage.endswith("[optional arguments]")
    for action in PARSERS[command]._actions:
        if action.required and action.option_strings:
            assert f" {action.option_strings[0]} " in usage
        if not action.required and action.option_strings and action.option_strings[0] != "-i":
            assert f" {action.option_strings[0]} " not in usage


def test_actions_are_listed_once():
    text = PARSERS["sct_rootlets"].format_help()
    for action, _, description in main.ACTIONS:
        assert text.count(description) == 1
        assert len(re.findall(rf"^  {action} ", text, flags=re.MULTILINE)) == 1
    assert "{" not in text
