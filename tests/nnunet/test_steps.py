import re
import sys

import pytest

from sct_rootlets.distribution import requirement
from sct_rootlets.errors import ModelError
from sct_rootlets.nnunet import steps
from sct_rootlets.nnunet.settings import TrainingSettings
from sct_rootlets.nnunet.steps import find_error, require_nnunet, run_step


def test_without_nnunet_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(steps, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=rf"python -m pip install {re.escape(requirement('nnunet'))}, but never into"):
        require_nnunet()


def test_an_nnunet_over_that_of_sct_is_refused(monkeypatch, tmp_path):
    for name in ("nnunetv2", "nnunetv2_neuropoly"):
        info = tmp_path / f"{name}-2.6.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.6.2\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModelError, match="nnunetv2 was installed over nnunetv2-neuropoly"):
        require_nnunet()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("epoch 1\nfold 1 is being trained by another process\n", "fold 1 is being trained by another process"),
        ('Traceback (most recent call last):\n  File "x"\nRuntimeError: no dataset 501.\nPlease look.\n\nOr there.\n',
         "RuntimeError: no dataset 501."),
        ('Traceback (most recent call last):\n  File "x"\nKeyError: 1\n\nDuring handling of the above:\n\n'
         'Traceback (most recent call last):\n  File "y"\n    f()\nValueError: two\n', "ValueError: two"),
        ("", "it says nothing"),
    ],
)  # fmt: skip
def test_the_line_that_says_what_went_wrong(output, line):
    assert find_error(output) == line


def test_a_step_that_fails_says_its_last_line(tmp_path):
    """The real process, which finds no nnU-Net, or no dataset."""
    with pytest.raises(ModelError, match=r"nnU-Net failed \(plan\): .*Error: .*the whole of it is in .*plan\.log"):
        run_step(tmp_path, "plan", {"threads": 1}, TrainingSettings(bids=(), threads=1))
    assert "Traceback" in (tmp_path / "logs" / "plan.log").read_text()
