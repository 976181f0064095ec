import json
import subprocess
import sys
from importlib.metadata import version as installed_version

import pytest

from sct_rootlets.distribution import version
from sct_rootlets.models.manifest import read_manifest
from sct_rootlets.sidecar import (
    FIRST_CALIBRATED,
    generated_by,
    has_large_cord,
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
    ("content", "large"),
    [
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Version": "2.1"}}', True),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Settings": {"Model": {"Version": "1.1"}}}', True),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Name": "of no version"}}', True),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Version": "2.10"}}', False),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Version": null, "CordAndRoots": {"Version": "2.2"}}}',
         False),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Version": "9", "CordAndRoots": {"Version": "2.1"}}}',
         True),
        ('{"GeneratedBy": [{"Name": "sct_rootlets"}]}', False),
        ('{"GeneratedBy": [{"Name": "spinalcordtoolbox"}], "Model": {"Version": "2.1"}}', False),
        ('{"GeneratedBy": "sct_rootlets", "Model": {"Version": "2.1"}}', False),
        ("[]", False),
    ],
)  # fmt: skip
def test_whether_an_early_model_segmented_a_cord(tmp_path, content, large):
    (tmp_path / "t2.json").write_text(content)
    assert has_large_cord(tmp_path / "t2.nii.gz") == large


def test_the_bundled_model_is_not_early():
    version = tuple(map(int, read_manifest()["version"].split(".")))
    assert version >= FIRST_CALIBRATED


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
