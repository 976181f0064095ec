"""What describes the package says one thing: version, licence, Python versions and commands."""

import re
from configparser import ConfigParser
from pathlib import Path

import sct_rootlets

ROOT = Path(__file__).parents[1]


def setup_cfg() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_version_is_that_of_setup_cfg_everywhere():
    version = setup_cfg()["metadata"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", version)
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, flags=re.MULTILINE) == [version]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)$", changelog, flags=re.MULTILINE)[0] in (version, "Unreleased")


def test_no_module_has_a_version_of_its_own():
    version = setup_cfg()["metadata"]["version"]
    for path in (ROOT / "sct_rootlets").rglob("*.py"):
        assert f'"{version}"' not in path.read_text(encoding="utf-8"), path
    assert isinstance(sct_rootlets.__version__, str)


def test_the_citation_has_what_the_format_requires():
    """Keys that the schema of CFF 1.2.0 demands, and articles with DOIs."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for key in ("cff-version: 1.2.0", "message: ", "title: ", "authors:"):
        assert re.search(rf"^{key}", text, flags=re.MULTILINE), key
    assert text.count("  - type: article") == text.count("    doi: 10.")
    assert f"license: {setup_cfg()['metadata']['license']}" in text


def test_types_are_part_of_the_package():
    setup = setup_cfg()
    assert (ROOT / "sct_rootlets" / "py.typed").exists()
    assert "py.typed" in setup["options.package_data"]["sct_rootlets"].split()
    assert "Typing :: Typed" in setup["metadata"]["classifiers"]


def test_python_versions_agree():
    metadata, options = setup_cfg()["metadata"], setup_cfg()["options"]
    versions = re.findall(r"Python :: (3\.\d+)", metadata["classifiers"])
    assert options["python_requires"] == f">={versions[0]}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {', '.join(versions[:-1])} or {versions[-1]}" in readme


def test_constraints_hold_what_is_required():
    """Every direct requirement has one version that the tests pass with."""
    setup = setup_cfg()
    fixed = {
        line.split("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    extras = setup["options.extras_require"]
    text = "\n".join([setup["options"]["install_requires"], *(extras[name] for name in extras)])
    required = {match.lower() for match in re.findall(r"^([A-Za-z][\w.-]*)", text, flags=re.MULTILINE)}
    assert required - fixed - {"setuptools"} == set()


def test_continuous_integration_runs_the_blocks_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^<!-- (\w+) -->\n```bash\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE))
    assert blocks["demo"].splitlines()[-1] == "sct_rootlets demo"
    assert "python -m pytest -n 2 --dist loadfile" in blocks["tests"]
    for block in blocks.values():
        assert block.startswith("python3 -m venv .venv && source .venv/bin/activate && ")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert set(re.findall(r"^ *run_readme (\w+)$", ci, flags=re.MULTILINE)) == set(blocks)
