"""README and docs agree with the package: commands parse, Python compiles, links and file names lead somewhere."""

import ast
import importlib
import re
import shlex
from argparse import ArgumentParser
from functools import cache
from pathlib import Path

import pytest
from shell_blocks import commands, fenced

import sct_rootlets
from sct_rootlets.cli import compute_spinal_levels, deepseg
from sct_rootlets.cli.main import ACTIONS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "testing_data" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
OURS = ("sct_rootlets", "sct_deepseg", "sct_compute_spinal_levels")
#: Tasks in the docs that SCT's own sct_deepseg runs.
TASKS_OF_SCT = ("spinalcord", "spine")
#: Folders of this repository; the docs name files in them.
FOLDERS = "sct_rootlets|tests|benchmarks|docs|testing_data|\\.ci"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def is_ours(words: list[str]) -> bool:
    program = words[0].rsplit("/", 1)[-1]
    if program == "sct_deepseg":
        return not set(deepseg.modern_spelling(words[1:])[:1]) & set(TASKS_OF_SCT)
    return program in OURS or words[1:3] == ["-m", "sct_rootlets.bundled"]


def parser_of(words: list[str]) -> tuple[ArgumentParser, list[str]]:
    """Parser of one of our commands, and the arguments that it parses."""
    program, arguments = words[0].rsplit("/", 1)[-1], words[1:]
    if program == "sct_compute_spinal_levels":
        return compute_spinal_levels.get_parser(), arguments
    if program == "sct_deepseg":
        arguments = deepseg.modern_spelling(arguments)
        if arguments and arguments[0] in deepseg.TASKS:
            return deepseg.get_task_parser(arguments[0]), arguments[1:]
        return deepseg.get_parser(), arguments
    if program == "sct_rootlets":
        modules = {action: module for action, module, _ in ACTIONS}
        assert {*arguments[:1]} & {*modules}, f"sct_rootlets has no action {arguments[:1]}"
        return importlib.import_module(modules[arguments[0]]).get_parser(), arguments[1:]
    return importlib.import_module("sct_rootlets.bundled.__main__").get_parser(), arguments[2:]


SHELL = [(name(page), words) for page in PAGES for block in fenced(page.read_text(encoding="utf-8"), "bash")
         for words in commands(block) if is_ours(words)]  # fmt: skip
PYTHON = [(name(page), block) for page in PAGES for block in fenced(page.read_text(encoding="utf-8"), "python")]


@pytest.mark.parametrize(("page", "words"), [pytest.param(page, words, id=f"{page}: {shlex.join(words)}")
                                             for page, words in SHELL])  # fmt: skip
def test_every_command_line_is_understood(page, words, capsys):
    parser, arguments = parser_of(words)
    try:
        parser.parse_args(arguments)
    except SystemExit:
        pytest.fail(f"{page}: {shlex.join(words)}\n{capsys.readouterr().err}")


def test_commands_are_found_in_blocks():
    block = """\
for side in left right; do
    X=1 .venv/bin/sct_rootlets group -i levels/$side \\
                                     -ofolder "$OUT" && ls  # both
done
python -m sct_rootlets.bundled -ofolder out
sct_deepseg -task spinalcord -i t2.nii.gz
"""
    assert [words for words in commands(block) if is_ours(words)] == [
        [".venv/bin/sct_rootlets", "group", "-i", "levels/left", "-ofolder", "$OUT"],
        ["python", "-m", "sct_rootlets.bundled", "-ofolder", "out"],
    ]
    assert {page for page, _ in SHELL} == {name(page) for page in PAGES} - {"CONTRIBUTING.md"}
    assert len(SHELL) >= 60


@pytest.mark.parametrize("line", ["sct_rootlets group -i a -ofolder b -nothing", "sct_rootlets register",
                                  "sct_compute_spinal_levels -method all", "sct_deepseg rootlet -i a"])  # fmt: skip
def test_wrong_commands_are_refused(line):
    parser, arguments = parser_of(line.split())
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_sentences_have_only_options_that_exist(page):
    """They need not be complete, as ``sct_rootlets bids … -exclude-list verdicts.tsv``."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", prose):
        words = span.split()
        if words == ["sct_rootlets", "-version"] or len(words) == 1 or not is_ours(words):
            continue
        parsers = [parser_of(words)[0]]
        if words[0] == "sct_deepseg":  # with TASK in place of a task, or without one
            parsers.append(deepseg.get_task_parser("rootlets"))
        accepted = {option for parser in parsers for option in parser._option_string_actions}
        options = {word.strip("[]") for word in words if re.match(r"\[?-[a-z]", word)} - {"-task", "-m"}
        assert options <= accepted, f"{name(page)}: {span}"


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[page for page, _ in PYTHON])
def test_python_compiles_and_imports_names_that_exist(page, block):
    for node in ast.walk(ast.parse(block, filename=page)):
        if not isinstance(node, ast.ImportFrom) or node.module.split(".")[0] != "sct_rootlets":
            continue
        names = {alias.name for alias in node.names}
        if node.module == "sct_rootlets":
            missing = names - set(sct_rootlets.__all__)
        else:
            missing = names - defined_in(node.module)
        assert not missing, f"{page} imports {', '.join(sorted(missing))} from {node.module}"


def defined_in(module: str) -> set[str]:
    """Names at the top level of a module, read from its source: to import it may take seconds."""
    source = ROOT.joinpath(*module.split("."))
    source = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
    assert source.is_file(), f"there is no module {module}"
    found = set()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
        found |= {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
    return found


def headings(page: Path) -> set[str]:
    """Anchors of a page, as GitHub makes them from its headings."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in headings(target), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_this_repository_that_a_page_names_exist(page):
    """Files that are named with their folder, and modules that are run by ``python -m``."""
    text = page.read_text(encoding="utf-8")
    for file in re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]+\.(?:py|sh|md|json))\b", text):
        assert (ROOT / file).exists(), f"{name(page)}: {file}"
    for module in re.findall(r"python -m (sct_rootlets(?:\.\w+)*)", text):
        source = ROOT.joinpath(*module.split("."))
        assert source.with_suffix(".py").is_file() or (source / "__main__.py").is_file(), f"{name(page)}: {module}"


def test_readme_is_short_and_narrow():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 100, max(lines, key=len)


def test_guides_are_listed_in_the_readme_and_in_the_site():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme
        assert f"      - {page.name}\n" in navigation, page.name


#: What stands for a part of a message that depends on the user's files: ``…``, numbers, names and examples.
PLACEHOLDERS = re.compile(
    r"…|\.\.\.|<[^>]+>|[+-]?\d[\d.,/–%]*|\b(?:FILE|FOLDER|NAME|PATH|TASK|ENTRY|VALUE|URL|OUT_DIR|[ABNM])\b"
    r"|\b[CT]\d(?:/[CT]\d)?\b|sub-\d+\w*|desc-\w+|[-–][XYZ]\b|[:;,()]|^(?:note|error)\b"
)
#: A flag as a note: its title and grade, which the code joins.
FLAG = re.compile(r"^(?!note)(.+) (?:unusual|implausible): ")
#: Fragments of a message that are shorter than this say nothing about where they come from.
MIN_LETTERS = 12


def literal(node: ast.AST) -> str:
    """Return the text of a string in the code; values in it are line breaks."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else "\n"
    if isinstance(node, ast.JoinedStr):
        return "".join(map(literal, node.values))
    return literal(node.left) + literal(node.right) if isinstance(node, ast.BinOp) else "\n"


@cache
def nodes_of_the_package() -> list[tuple[str, ast.AST]]:
    """Syntax of all modules, each node with the room that it is in."""
    folder = ROOT / "sct_rootlets"
    return [
        (path.relative_to(folder).parts[0], node)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def strings_of_the_package() -> str:
    kinds = (ast.Constant, ast.JoinedStr, ast.BinOp)
    nodes = (node for _, node in nodes_of_the_package() if isinstance(node, kinds))
    return re.sub(r"[\d.,–%]*\d[\d.,–%]*", "\n", "\n".join(map(literal, nodes)).replace("`", ""))


def quoted_messages() -> list[str]:
    """Messages in the first column of the tables of docs/when-it-says.md."""
    page = (ROOT / "docs" / "when-it-says.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.*?`[^|]*) \|", page, flags=re.MULTILINE)
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


def test_messages_that_the_page_explains_are_those_of_the_code():
    strings, unknown = strings_of_the_package(), []
    for message in quoted_messages():
        if flag := FLAG.match(message):
            unknown += [] if f"\n{flag[1]}\n" in strings else [f"{message}: {flag[1]}"]
            continue
        for part in PLACEHOLDERS.split(message):
            text = part.strip(" :;,()'\"")
            if len(text) >= MIN_LETTERS and text not in strings:
                unknown.append(f"{message}: {text}")
    assert not unknown, "\n".join(unknown)
    assert len(quoted_messages()) > 250


#: The exceptions that commands show as one line.
ERRORS = ("SctRootletsError", "ImageError", "LabelError", "ModelError", "DatasetError", "LinkError")
#: Rooms whose errors no user meets, and a message that is caught where it is raised.
NOT_MET = ("bundled", "synthesis")
CAUGHT = ("nothing found",)


def raised_messages() -> list[str]:
    """Messages of the errors that the package raises; values in them are line breaks."""
    found = []
    for room, node in nodes_of_the_package():
        call = node.exc if isinstance(node, ast.Raise) and room not in NOT_MET else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS and call.args:
            found.append(literal(call.args[0]))
    return found


def test_every_error_is_explained_by_the_page():
    """Some part of it, of ten letters and more, is quoted; parts that all errors have say nothing, and are short."""
    quoted, missing = "\n".join(quoted_messages()), []
    for message in raised_messages():
        parts = [part.strip(" '\"") for part in re.split(r"[\n:;,()]|\d+", message.replace("`", ""))]
        parts = [part for part in parts if len(part) >= 10]
        if parts and message not in CAUGHT and not any(part in quoted for part in parts):
            missing.append(message.replace("\n", "…"))
    assert not missing, "\n".join(missing)
    assert len(raised_messages()) > 250
