"""The methods paragraph says what the sidecars say, and nothing else."""

import json

import pytest

from sct_rootlets.cli.main import main
from sct_rootlets.errors import DatasetError
from sct_rootlets.output.levels import save_levels
from sct_rootlets.report.methods_text import METHOD_TEXTS, methods_text
from sct_rootlets.spinal import METHODS

MODEL = {"Name": "ours", "Version": "r7", "SHA256": {"plans.json": "1" * 64, "fold_0/checkpoint_final.pth": "2a" * 32}}
BUNDLED = {
    "Name": "sct_rootlets synthetic",
    "Version": "2.0",
    "SHA256": {
        f"{name}/t/fold_0/checkpoint_final.pth": digit * 64 for name, digit in (("names", "3"), ("overview", "4"))
    },
}


def levels(folder, name, **facts):
    """A sidecar of levels, with some facts of its own."""
    content = {
        "GeneratedBy": [{"Name": "sct_rootlets", "Version": "1.2.3"}],
        "Inputs": {"cord": f"cord of {name}_T2w.nii.gz", "rootlets": f"rootlets of {name}_T2w.nii.gz"},
        "Method": "segment",
        "DistanceMillimeters": 2.4,
        "Model": BUNDLED,
        "Reference": "PMJ",
        "Discs": [{"Name": "C2/C3", "Source": "image", "SD": 1.5}],
        **facts,
    }
    path = folder / name / "anat" / f"{name}_T2w_levels.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def test_every_method_has_a_text():
    assert set(METHOD_TEXTS) == set(METHODS)


def test_scans_that_are_alike_are_described_once(tmp_path):
    for name in ("sub-01", "sub-02"):
        levels(tmp_path, name)
    assert methods_text(tmp_path) == (
        "Spinal levels of the cord were computed from its nerve rootlets with sct_rootlets 1.2.3, in 2 scans (Valošek "
        "et al. 2024). Labels that were not provided were segmented by the model sct_rootlets synthetic 2.0 (SHA-256 "
        "of the weights: names 333333333333, overview 444444444444). A spinal level reaches from the caudal end of the "
        "rootlets of the level above to the caudal end of its own rootlets, which count up to 2.4 mm from the cord "
        "(method segment). Vertebral levels lie between discs, which were found in the image. Positions are in mm "
        "along the centerline of the cord, counted from the pontomedullary junction.\n"
        "\n"
        "Valošek et al. 2024, Imaging Neuroscience, doi:10.1162/imag_a_00218"
    )


def test_what_differs_is_counted(tmp_path):
    levels(tmp_path, "sub-01")
    levels(tmp_path, "sub-02")
    given = {"cord": "sub-03_seg.nii.gz", "rootlets": "sub-03_rootlets.nii.gz", "discs": "sub-03_discs.nii.gz"}
    levels(tmp_path, "sub-03", Inputs=given, Method="extent", DistanceMillimeters=3, Model=None, NamesFromDiscs=True,
           Discs=[{"Source": "given"}], GeneratedBy=[{"Version": "1.3.0"}], Reference="disc C2/C3")  # fmt: skip
    text = methods_text(tmp_path)
    for part in (
        "with sct_rootlets 1.2.3 and 1.3.0, in 3 scans",
        "In 2 of 3 scans, labels that were not provided were segmented by the model sct_rootlets synthetic 2.0",
        "In 1 of 3 scans, the cord mask was provided. In 1 of 3 scans, the rootlet map was provided.",
        "In 2 of 3 scans, a spinal level reaches",
        "In 1 of 3 scans, a spinal level is the stretch along which its rootlets lie within 3 mm of the cord",
        "discs, which were found in the image in 2 of 3 scans and provided in 1 of 3 scans.",
        "In 1 of 3 scans, the provided discs decided the names of spinal levels.",
        "counted from the pontomedullary junction in 2 of 3 scans and from disc C2/C3 in 1 of 3 scans.",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("name", "reference"), [("ours", None), ("rootletseg-r20250318", "Krejčí et al. 2026, Scientific Reports")]
)
def test_another_model_is_named_with_that_of_the_cord_and_its_article(tmp_path, name, reference):
    levels(tmp_path, "sub-01", Model={**MODEL, "Name": name, "CordAndRoots": BUNDLED})
    text = methods_text(tmp_path)
    cited = "" if reference is None else " (Krejčí et al. 2026)"
    assert f"the model {name} r7 (SHA-256 of the weights: 2a2a2a2a2a2a){cited}, with the cord by the model sct_" in text
    assert reference is None or reference in text
    assert ("Krejčí" in text) == (reference is not None)


def test_registrations_are_described(tmp_path):
    facts = {"GeneratedBy": [{"Version": "1.2.3"}], "Engine": "sct_rootlets", "Landmarks": "both", "CordDice": 0.984}
    for name, dice in (("a", 0.984), ("b", 0.961)):
        (tmp_path / name).mkdir()
        content = {**facts, "CordDice": dice, "Template": {"cord": "PAM50_cord.nii.gz"}}
        (tmp_path / name / "registration.json").write_text(json.dumps(content))
    text = methods_text(tmp_path)
    assert text.startswith(
        "2 scans were registered to the PAM50 template (De Leener et al. 2018), aligned along the cord by rootlets "
        "and discs (Bédard et al. 2025), with sct_rootlets 1.2.3. The Dice coefficient of the cords of subject and "
        "template was 0.96 to 0.98.\n\nBédard et al. 2025"
    )
    assert "De Leener et al. 2018, NeuroImage" in text


def test_results_of_the_package_are_understood(phantom_levels, tmp_path, capsys):
    """Given cord, rootlets, discs and PMJ, by the published method."""
    save_levels(phantom_levels, tmp_path, figure=False)
    assert main(["methods-text", "-ofolder", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "The cord mask was provided. The rootlet map was provided." in text
    assert "within 2.4 mm of the cord (method extent; Valošek et al. 2024)" in text
    assert "discs, which were provided." in text
    assert "segmented by" not in text


def test_a_folder_without_results_is_an_error_of_one_line(tmp_path, capsys):
    (tmp_path / "sub-01_levels.json").write_text('{"Method": "unheard of"}')
    with pytest.raises(DatasetError, match="holds no results with sidecars"):
        methods_text(tmp_path)
    with pytest.raises(DatasetError, match="is not a folder; give the folder of the results"):
        methods_text(tmp_path / "sub-01_levels.json")
    assert main(["methods-text", "-ofolder", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
