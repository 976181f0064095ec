import re
import sys

import pytest

from sct_rootlets.distribution import requirement
from sct_rootlets.errors import LinkError
from sct_rootlets.sct import installation


@pytest.fixture
def nowhere(monkeypatch):
    """No SCT in this environment."""
    monkeypatch.delenv("SCT_DIR", raising=False)
    monkeypatch.setattr(installation, "find_spec", lambda name: None)


def test_no_sct_says_what_to_do(nowhere):
    with pytest.raises(
        LinkError, match=r"no Spinal Cord Toolbox is found in .*; install sct_rootlets with SCT's own Python"
    ):
        installation.find_toolbox()


def test_a_folder_that_is_no_sct(nowhere, tmp_path):
    with pytest.raises(LinkError, match="not the folder of a Spinal Cord Toolbox"):
        installation.find_toolbox(tmp_path)


def test_sct_dir_that_is_empty_or_leads_nowhere(nowhere, monkeypatch, tmp_path):
    monkeypatch.setenv("SCT_DIR", "")
    with pytest.raises(LinkError, match="no Spinal Cord Toolbox is found in"):
        installation.find_toolbox()
    monkeypatch.setenv("SCT_DIR", str(tmp_path))
    with pytest.raises(LinkError, match=rf"{tmp_path} \(SCT_DIR\) is not the folder of a Spinal Cord Toolbox"):
        installation.find_toolbox()


def test_an_sct_that_runs_elsewhere_is_named_with_its_python(nowhere, monkeypatch, tmp_path):
    (tmp_path / "spinalcordtoolbox").mkdir()
    (tmp_path / "spinalcordtoolbox" / "version.txt").write_text("7.2\n")
    python = tmp_path / "python" / "envs" / "venv_sct" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    for name in (tmp_path, None):
        monkeypatch.setenv("SCT_DIR", str(tmp_path))
        with pytest.raises(LinkError, match=re.escape(f"{python} -m pip install {requirement()} && {python} -m")):
            installation.find_toolbox(name)


def test_not_installed_in_this_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(installation.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(LinkError, match=f"not installed in {sys.prefix}"):
        installation.find_environment()


def test_nothing_but_the_extra_for_training_brings_an_nnunet():
    """It would overwrite SCT's, and pip cannot be told to refuse."""
    from configparser import ConfigParser
    from pathlib import Path

    setup = ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    assert "nnunetv2" not in setup["options"]["install_requires"]
    extras = setup["options.extras_require"]
    assert [name for name in extras if "nnunet" in extras.get(name, raw=True)] == ["nnunet"]
