"""A cohort in a template, from folders of registrations to files."""

import csv

import numpy as np
import pytest

from sct_rootlets.cli.main import main
from sct_rootlets.nifti import load_volume, save_labels, save_volume


@pytest.fixture
def registered(tmp_path, template_folder):
    """Registrations of three subjects whose rootlets are the template's, moved by 0, 1 and 2 slices upwards."""
    template = load_volume(template_folder / "template" / "phantom_rootlets.nii.gz")
    for number in range(3):
        folder = tmp_path / "reg" / f"sub-0{number}"
        folder.mkdir(parents=True)
        (folder / "registration.json").write_text("{}")
        moved = np.roll(np.asarray(template.data), number, axis=2)
        moved[moved == 3] = 0 if number == 2 else 3  # the third subject lacks C3
        save_labels(folder / "rootlets2template.nii.gz", moved, template)
        image = np.full(template.data.shape, 100.0 * (number + 1), dtype=np.float32)
        image[0] = 0 if number else image[0]  # outside the field of view of all but the first
        save_volume(folder / "anat2template.nii.gz", image, template.affine, template.header)
        save_volume(folder / "x_zstat2template.nii.gz", image / 100, template.affine, template.header)
    return tmp_path / "reg"


def group(registered, template_folder, out, *more):
    arguments = ["-registered", registered, "-template", template_folder, "-ofolder", out, *more]
    return main(["group", *map(str, arguments)])


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_coverage_and_mean_images(registered, template_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert group(registered, template_folder, out) == 0
    assert "3 subjects" in capsys.readouterr().out
    rows = {row["name"]: row for row in read(out / "template_coverage_summary.csv")}
    template = load_volume(template_folder / "template" / "phantom_rootlets.nii.gz")
    step = abs(template.affine[2, 2])
    c5 = rows["C5"]
    assert (c5["n"], c5["n_missing"], rows["C3"]["n"], rows["C3"]["n_missing"]) == ("3", "0", "2", "1")
    assert float(c5["top_mean_mm"]) - float(c5["template_top_mm"]) == pytest.approx(step, abs=2e-3)
    assert float(c5["top_sd_mm"]) == pytest.approx(step, abs=2e-3)
    length = float(c5["template_top_mm"]) - float(c5["template_bottom_mm"])
    shares = 100 * (length - step * np.arange(3)) / length
    assert float(c5["percent_mean_of_template"]) == pytest.approx(shares.mean(), abs=0.01)
    assert float(c5["percent_sd_of_template"]) == pytest.approx(shares.std(ddof=1), abs=0.01)
    mean, sd, n = (np.asarray(load_volume(out / f"template_{name}.nii.gz").data) for name in ("mean", "sd", "n"))
    assert (n[0] == 1).all()
    assert (n[1:] == 3).all()
    np.testing.assert_allclose(mean, 1)  # each scan is divided by its median in the cord
    np.testing.assert_allclose(sd, 0, atol=1e-6)
    assert group(registered, template_folder, out, "-images", "zstat2template", "-v", "0") == 0
    mean, sd = (np.asarray(load_volume(out / f"template_{name}.nii.gz").data) for name in ("mean", "sd"))
    np.testing.assert_allclose(mean[1:], 2)
    np.testing.assert_allclose(sd[1:], 1)


def test_bad_input_is_one_line(registered, template_folder, tmp_path, capsys):
    one = registered / "sub-02"
    affine = load_volume(one / "anat2template.nii.gz").affine
    twice = registered / "sub-01" / "again"
    twice.mkdir()
    for change, message in (
        (lambda: (one / "rootlets2template.nii.gz").unlink(), "rootlets2template.nii.gz is missing; register"),
        (lambda: save_volume(one / "anat2template.nii.gz", np.ones((3, 3, 3)), affine), "is not on the grid of the"),
        (lambda: (twice / "registration.json").write_text("{}"), "both registrations of sub-01"),
        (lambda: [path.unlink() for path in registered.rglob("registration.json")], "0 registrations"),
    ):
        change()
        assert group(registered, template_folder, tmp_path / "out") == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
    for arguments in ([], ["-i", "a", "-registered", "b"], ["-i", "a", "-images", "b"]):
        with pytest.raises(SystemExit, match="2"):
            main(["group", "-ofolder", "out", *arguments])
