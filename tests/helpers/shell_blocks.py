"""The command lines in the shell blocks of a Markdown page, and running those of this package without a shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable
from importlib import import_module

#: Shell words that may precede a command.
KEYWORDS = ("do", "then", "else", "if", "while", "!")


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[list[str]]:
    """Split a shell block into commands: words without the keywords and assignments before the command.

    A variable that a loop sets (``for x in a b``) is replaced by its first value.
    """
    found: list[list[str]] = []
    variables: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";|&"):
                found.append(words)
                words = []
            elif words or not (re.match(r"\w+=", word) or word in KEYWORDS):
                words.append(re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match[1], match[0]), word))
            if words[:1] == ["for"] and len(words) == 4:
                variables[words[1]] = words[3]
    return [words for words in found if words]


def run_in_turn(lines: Iterable[list[str]]) -> None:
    """Run commands of this package, ``cp``, ``mkdir`` and ``cd`` in the current folder; each must succeed."""
    mains = {"sct_rootlets": "main", "sct_deepseg": "deepseg", "sct_compute_spinal_levels": "compute_spinal_levels"}
    for words in lines:
        program, *arguments = words
        if program == "cp":
            shutil.copy(*arguments)
        elif program == "mkdir":
            os.mkdir(*arguments)  # noqa: PTH102
        elif program == "cd":
            os.chdir(*arguments)
        else:
            main = import_module(f"sct_rootlets.cli.{mains[program]}").main
            assert main(arguments) == 0, shlex.join(words)
