"""Pages of the documentation's site that are no files of ``docs/``: called by MkDocs (``hooks`` of ``mkdocs.yml``).

The README is the first page, and CONTRIBUTING and CHANGELOG are pages. The reference of commands is made from their
parsers, that of Python from docstrings.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
#: Files of the repository that are pages, with the page that they become.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
#: Files that links lead to, and that are part of the site as they are.
PLAIN = ("CITATION.cff", "LICENSE")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    from mkdocs.structure.files import File

    pages = {page: _from_the_root((ROOT / name).read_text(encoding="utf-8")) for name, page in PAGES.items()}
    pages |= {name: (ROOT / name).read_text(encoding="utf-8") for name in PLAIN}
    pages |= {"reference/help.md": help_page(), "reference/python.md": python_page()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links of a page in ``docs/`` to the files above lead to their pages."""
    for name, target in PAGES.items():
        markdown = markdown.replace(f"](../{name}", f"]({target}")
    return markdown


def _from_the_root(text: str) -> str:
    """Let links of a file at the root lead to pages: those in ``docs/``, and the files above."""
    text = re.sub(r"\]\(docs/", "](", text)
    for name, target in PAGES.items():
        text = text.replace(f"]({name}", f"]({target}")
    return re.sub(r"\[([^\]]*)\]\(testing_data/README\.md\)", r"\1", text)


def help_page() -> str:
    """Return the help of every command, as ``-h`` prints it."""
    from sct_rootlets.cli import compute_spinal_levels, deepseg, main

    parsers = {"sct_compute_spinal_levels": compute_spinal_levels.get_parser(), "sct_deepseg": deepseg.get_parser()}
    parsers |= {f"sct_deepseg {task}": deepseg.get_task_parser(task) for task in deepseg.TASKS}
    parsers |= {
        f"sct_rootlets {action}": importlib.import_module(module).get_parser() for action, module, _ in main.ACTIONS
    }
    intro = "# Help of every command\n\nThis is what `-h` of each command prints.\n"
    return intro + "".join(f"\n## {name}\n\n```text\n{parser.format_help()}```\n" for name, parser in parsers.items())


def python_page() -> str:
    """Return the reference of the functions that the package exports."""
    import sct_rootlets

    homes = (f"sct_rootlets.{module}.{name}" for module, name in dict.fromkeys(sct_rootlets._HOME.values()))
    intro = "# Python\n\nImport these functions from `sct_rootlets`; `register` is `register_image` here.\n"
    return intro + "".join(f"\n::: {home}\n" for home in homes)
