import json
import subprocess
import sys
from importlib.metadata import version as installed_version

import pytest

from sct_rootlets.distribution import version
from sct_rootlets.sidecar import (
    generated_by,
    is_segmented_by_us,
    read_name_confidence,
    read_name_sources,
    read_sidecar,
    seal,
    sha256_of,
)


@pytest.mark.parametrize(
    ("content", "sidecar"),
    [('{"Reviewed": false}', {"Reviewed": False}), ("[]", {}), ("{", {}), ("\xff", {}), (None, {})],
)
def test_a_sidecar_that_cannot_be_read_is_empty(tmp_path, content, sidecar):
    if content is not None:
        (tmp_path / "t2_rootlets.json").write_bytes(content.encode("latin-1"))
    for ending in ("nii.gz", "nii", "NII.GZ"):
        assert read_sidecar(tmp_path / f"t2_rootlets.{ending}") == sidecar


@pytest.mark.parametrize(
    ("content", "sources"),
    [
        ('{"NamesFromDiscs": true}', ("discs",)),
        ('{"NamesFromDiscs": false}', ()),
        ('{"NamesFromDiscs": true, "Settings": {"Names": "model"}}', ("model",)),
        ('{"NamesFromDiscs": false, "Settings": {"Names": "chain"}}', ()),
        ('{"NamesFromDiscs": "maybe"}', None),
        ("[]", None),
    ],
)
def test_whether_discs_decided_the_names(tmp_path, content, sources):
    (tmp_path / "t2.json").write_text(content)
    assert read_name_sources(tmp_path / "t2.nii.gz") == sources
    assert read_name_sources(None) is None


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Name": "m"}}', True),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}]}', False),
        ('{"GeneratedBy": [{"Name": "spinalcordtoolbox"}], "Model": {"Name": "m"}}', False),
        ('{"GeneratedBy": "sct_rootlets", "Model": {"Name": "m"}}', False),
        ("[]", False),
    ],
)
def test_whether_our_model_segmented_a_mask(tmp_path, content, ours):
    (tmp_path / "t2.json").write_text(content)
    assert is_segmented_by_us(tmp_path / "t2.nii.gz") == ours


def test_probabilities_of_names_are_those_of_the_map_that_was_written(tmp_path):
    labels, sidecar = tmp_path / "t2_rootlets.nii.gz", tmp_path / "t2_rootlets.json"
    labels.write_bytes(b"a map")
    levels = [{"Name": "C5", "Confidence": 0.7}, {"Name": "C6", "Confidence": None}]
    content = seal({"Levels": levels}, {labels.name: sha256_of(labels)})
    sidecar.write_text(json.dumps(content))
    assert read_name_confidence(labels) == {"C5": 0.7}
    renamed = labels.rename(tmp_path / "mine.nii.gz")
    sidecar.rename(tmp_path / "mine.json")
    assert read_name_confidence(renamed) == {"C5": 0.7}
    (tmp_path / "mine.json").write_text(json.dumps({**content, "Levels": [{"Name": "C5", "Confidence": 1.0}]}))
    assert read_name_confidence(renamed) == {}
    (tmp_path / "mine.json").write_text(json.dumps(content))
    renamed.write_bytes(b"an edited map")
    assert read_name_confidence(renamed) == {}
    assert read_name_confidence(None) == read_name_confidence(tmp_path / "missing.nii.gz") == {}


def test_everything_is_generated_by_this_version():
    assert generated_by() == [{"Name": "sct_rootlets", "Version": version()}]
    assert version() == installed_version("sct_rootlets")


def test_the_module_is_light():
    """SCT imports it each time that a command starts."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('numpy', 'nibabel', 'scipy')));"
        "from sct_rootlets.sidecar import generated_by, read_sidecar"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
