import argparse

import pytest

from sct_rootlets.cli.parsers import positive, toolbox_parser


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
