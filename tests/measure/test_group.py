"""Measures of a group, from tables whose values are known."""

import json

import pandas as pd
import pytest

from sct_rootlets.cli.main import main
from sct_rootlets.errors import DatasetError
from sct_rootlets.measure.group import group_measures
from sct_rootlets.output.group_measures import summary
from sct_rootlets.sidecar import sha256_of


def write_scan(folder, areas, session="", signal=None, incomplete=(), record=None, norm=None, volumes=None):
    """Tables of one scan: areas, signal and volumes of lesions of spinal levels by name."""
    subject = folder.name
    place = folder / session / "anat"
    place.mkdir(parents=True)
    prefix = "_".join(filter(None, (subject, session, "T2w")))
    pd.DataFrame(
        {
            "Filename": f"{prefix}_seg.nii.gz",
            "SpinalLevel": int(name[1:]),
            "name": name,
            "kind": "spinal",
            "MEAN(area)": area,
            "STD(area)": 1.0,
            "SUM(length)": 12.0,
            "NORM_MEAN(area)": norm,
            "NORM_SD(area)": None if norm is None else 8.0,
            "complete": name not in incomplete,
        }
        for name, area in areas.items()
    ).to_csv(place / f"{prefix}_shape.csv", index=False)
    inputs = {}
    if signal is not None:
        inputs["Images"] = [f"{subject}_MTR.nii.gz"]
        rows = [
            {"Filename": f"{subject}_MTR.nii.gz", "Label": "cord", "name": name, "kind": "spinal", "part": part,
             "WA()": value, "MEDIAN()": value, "STD()": 2}
            for (name, part), value in signal.items()
        ]  # fmt: skip
        pd.DataFrame(rows).to_csv(place / f"{prefix}_signal.csv", index=False)
    if volumes is not None:
        inputs["Lesions"] = "lesions.nii.gz"
        rows = [
            {"name": name, "kind": "spinal", "n_lesions": int(value > 0), "volume_mm3": value, "level_volume_mm3": 900,
             "volume_share": value / 900, "length_mm": 3, "greatest_axial_share": 0.1}
            for name, value in volumes.items()
        ]  # fmt: skip
        pd.DataFrame(rows).to_csv(place / f"{prefix}_lesions_perlevel.csv", index=False)
    if record is not None:
        (place / f"{prefix}_measures.json").write_text(json.dumps({"Inputs": inputs, **record}))
    return place / f"{prefix}_shape.csv"


def statistic(group, measure, level, part="all"):
    table = group.statistics
    (row,) = table[(table["measure"] == measure) & (table["level"] == level) & (table["part"] == part)].to_dict(
        "records"
    )
    return row


def test_means_are_over_people_whose_sessions_are_averaged_first(tmp_path):
    write_scan(tmp_path / "sub-01", {"C4": 80, "C5": 70}, record={})
    write_scan(tmp_path / "sub-02", {"C4": 90, "C5": 78}, "ses-a", record={})
    write_scan(tmp_path / "sub-02", {"C4": 94}, "ses-b", record={})
    write_scan(tmp_path / "sub-03", {"C4": 65, "C5": None}, record={})
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t30\tF\nsub-02\t41\tM\nsub-03\t52\tF\n"
    )
    group = group_measures([tmp_path])
    row = statistic(group, "MEAN(area)", "C4")
    assert (row["n"], row["n_missing"]) == (3, 0)
    assert row["mean"] == pytest.approx((80 + 92 + 65) / 3)
    assert row["sd"] == pytest.approx((((80 - 79) ** 2 + (92 - 79) ** 2 + (65 - 79) ** 2) / 2) ** 0.5)
    assert (row["minimum"], row["median"], row["maximum"]) == (65, 80, 92)
    row = statistic(group, "MEAN(area)", "C5")
    assert (row["n"], row["n_missing"], row["mean"]) == (2, 1, 74)
    values = group.values[group.values["measure"] == "MEAN(area)"]
    assert list(zip(values["participant_id"], values["session_id"], values["level"], strict=True)) == [
        ("sub-01", None, "C4"), ("sub-01", None, "C5"), ("sub-02", "ses-a", "C4"), ("sub-02", "ses-a", "C5"),
        ("sub-02", "ses-b", "C4"), ("sub-03", None, "C4"), ("sub-03", None, "C5"),
    ]  # fmt: skip
    assert set(values["age"]) == {30, 41, 52}
    assert "several sessions of 1 people are averaged before people are (sub-02)" in group.notes


def test_one_person_has_no_standard_deviation(tmp_path):
    write_scan(tmp_path / "sub-01", {"C4": 80, "C5": 70}, record={})
    assert summary(group_measures([tmp_path]))[2:4] == ["  C4     80.0 (1)", "  C5     70.0 (1)"]
    write_scan(tmp_path / "sub-02", {"C4": 90}, record={})
    assert summary(group_measures([tmp_path]))[2:4] == ["  C4     85.0 ± 7.1 (2)", "  C5     70.0 (1)"]


def test_doubtful_scans_are_left_out_and_listed(tmp_path):
    write_scan(tmp_path / "sub-01", {"C4": 80}, record={"Levels": {"Numbering": 0.95, "Implausible": []}})
    write_scan(tmp_path / "sub-02", {"C4": 90}, record={"Levels": {"Numbering": 0.6, "Implausible": []}})
    write_scan(
        tmp_path / "sub-03", {"C4": 99}, record={"Levels": {"Numbering": None, "Implausible": ["order C5 above C4"]}}
    )
    shape = write_scan(tmp_path / "sub-04", {"C4": 60}, record={})
    levels = shape.with_name("sub-04_T2w_levels.csv")
    levels.write_text("new")
    record = shape.with_name("sub-04_T2w_measures.json")
    record.write_text(json.dumps({"Levels": {"Table": levels.name, "SHA256": "0" * 64}}))
    group = group_measures([tmp_path])
    assert (statistic(group, "MEAN(area)", "C4")["n"], statistic(group, "MEAN(area)", "C4")["mean"]) == (1, 80)
    assert statistic(group, "MEAN(area)", "C4")["n_left_out"] == 3
    assert len(group.values[group.values["measure"] == "MEAN(area)"]) == 4
    notes = "\n".join(group.notes)
    assert "left out, 1: the numbers of its vertebrae are uncertain (sub-02_T2w)" in notes
    assert "left out, 1: its levels are implausible (order C5 above C4) (sub-03_T2w)" in notes
    assert "left out, 1: its levels were computed again since it was measured" in notes
    record.write_text(json.dumps({"Levels": {"Table": levels.name, "SHA256": sha256_of(levels)}}))
    assert statistic(group_measures([tmp_path], keep_uncertain=True), "MEAN(area)", "C4")["n"] == 4


def test_lengths_of_cut_levels_do_not_count_and_means_do(tmp_path):
    write_scan(tmp_path / "sub-01", {"C2": 80}, record={}, incomplete=["C2"], volumes={"C2": 9.0})
    write_scan(tmp_path / "sub-02", {"C2": 90}, record={}, volumes={"C2": 27.0})
    group = group_measures([tmp_path])
    assert statistic(group, "MEAN(area)", "C2")["mean"] == 85
    assert statistic(group, "SUM(length)", "C2")["n"] == 1
    assert (statistic(group, "volume_mm3", "C2")["mean"], statistic(group, "volume_share", "C2")["mean"]) == (27, 0.02)
    assert statistic(group_measures([tmp_path], keep_incomplete=True), "volume_mm3", "C2")["mean"] == 18


def test_images_have_their_name_in_common_and_parts_are_kept_apart(tmp_path):
    bad = {"Flags": {"shift sub-03_MTR.nii.gz": {"State": "bad"}}}
    for subject, value, record in (("sub-01", 30, {}), ("sub-02", "n/a", {}), ("sub-03", 50, bad)):
        signal = {("C4", "left"): value, ("C4", "right"): 36}
        write_scan(tmp_path / subject, {"C4": 80}, signal=signal, record=record)
    group = group_measures([tmp_path])
    assert set(group.statistics["image"].dropna()) == {"MTR"}
    left, right = (statistic(group, "WA()", "C4", part) for part in ("left", "right"))
    assert (left["n"], left["n_missing"], left["n_left_out"], left["mean"]) == (1, 1, 1, 30)
    assert (right["n"], right["mean"], right["sd"]) == (2, 36, 0)


@pytest.mark.parametrize("text", ["95,784", "nan", "inf", "NA", "about 95"])
def test_cells_that_are_no_numbers_are_an_error(text, tmp_path):
    """A spreadsheet that writes a decimal comma would make a value missing."""
    shape = write_scan(tmp_path / "sub-01", {"C4": 80, "C5": 70}, record={}, volumes={"C4": 9.0})
    write_scan(tmp_path / "sub-02", {"C4": 90, "C5": 75}, record={})
    table = pd.read_csv(shape, dtype=str)
    table.loc[1, "MEAN(area)"] = text
    table.to_csv(shape, index=False)
    with pytest.raises(DatasetError) as error:
        group_measures([tmp_path])
    assert str(error.value).startswith(f"{shape}: MEAN(area) of spinal level C5 is {text!r}, which is no number; ")
    assert "\n" not in str(error.value)
    for missing in ("", "n/a"):
        table.loc[1, "MEAN(area)"] = missing
        table.to_csv(shape, index=False)
        row = statistic(group_measures([tmp_path]), "MEAN(area)", "C5")
        assert (row["n"], row["n_missing"], row["mean"]) == (1, 1, 75)
    lesions = shape.with_name("sub-01_T2w_lesions_perlevel.csv")
    lesions.write_text(lesions.read_text().replace("9.0,", '"9,0",'))
    with pytest.raises(DatasetError, match="volume_mm3 of spinal level C4 is '9,0', which is no number"):
        group_measures([tmp_path])


def test_norms_and_completeness_that_cannot_be_read_are_an_error(tmp_path):
    shape = write_scan(tmp_path / "sub-01", {"C4": 80}, record={}, norm=76)
    content = shape.read_text()
    shape.write_text(content.replace(",76,", ',"76,0",'))
    with pytest.raises(DatasetError, match=r"NORM_MEAN\(area\) of spinal level C4 is '76,0', which is no number"):
        group_measures([tmp_path])
    shape.write_text(content.replace(",True", ",FALSCH"))
    with pytest.raises(DatasetError, match="complete of spinal level C4 is 'FALSCH', and neither True nor False"):
        group_measures([tmp_path])
    shape.write_text(content.replace(",True", ",FALSE"))
    assert statistic(group_measures([tmp_path]), "SUM(length)", "C4")["n"] == 0


def test_a_level_twice_is_an_error(tmp_path):
    signal = {("C4", "left"): 30, ("C4", "right"): 36}
    shape = write_scan(tmp_path / "sub-01", {"C4": 80, "C5": 70}, signal=signal, record={})
    assert statistic(group_measures([tmp_path]), "WA()", "C4", "left")["mean"] == 30  # two parts are no repetition
    for path, what in (
        (shape, "spinal C5"),
        (shape.with_name("sub-01_T2w_signal.csv"), "spinal C4 right sub-01_MTR.nii.gz cord"),
    ):
        content = path.read_text()
        path.write_text(content + content.splitlines()[-1].replace("70", "500").replace("36", "500") + "\n")
        with pytest.raises(DatasetError, match=f"{path.name} has {what}.* twice; measure the scan again"):
            group_measures([tmp_path])
        path.write_text(content)


def test_directions_of_axes_are_averaged_as_axes(tmp_path):
    """Of people at 88, -88 and 90 degrees, of whom the first has two sessions at 86 and 90."""
    sessions = {"sub-01/ses-a": 86, "sub-01/ses-b": 90, "sub-02/": -88, "sub-03/": 90}
    for number, (name, angle) in enumerate(sessions.items()):
        subject, session = name.split("/")
        shape = write_scan(tmp_path / subject, {"C4": 80 + number}, session, record={})
        pd.read_csv(shape).assign(**{"MEAN(orientation)": float(angle)}).to_csv(shape, index=False)
    row = statistic(group_measures([tmp_path]), "MEAN(orientation)", "C4")
    assert row["n"] == 3
    assert row["mean"] == pytest.approx(90)
    assert row["sd"] == pytest.approx(2)  # 88, 90 and 92
    assert (row["minimum"], row["median"], row["maximum"]) == pytest.approx((88, 90, -88))


def test_tables_of_an_earlier_run_do_not_count(tmp_path):
    shape = write_scan(tmp_path / "sub-01", {"C4": 80}, record={}, volumes={"C4": 9.0})
    shape.with_name("sub-01_T2w_measures.json").write_text(json.dumps({"Inputs": {}}))
    assert set(group_measures([tmp_path]).values["table"]) == {"shape"}


def test_a_scan_under_two_names_counts_once(tmp_path):
    """Also of two sessions, of which one would weigh more; tables with other values of an image are no copies."""
    write_scan(tmp_path / "sub-01", {"C4": 80, "C5": 70}, record={})
    write_scan(tmp_path / "sub-02", {"C4": 90, "C5": 75}, "ses-a", record={})
    write_scan(tmp_path / "sub-02", {"C4": 90, "C5": 75}, "ses-b", record={})
    write_scan(tmp_path / "sub-02", {"C4": 96, "C5": 75}, "ses-c", record={})
    write_scan(tmp_path / "sub-03", {"C4": 80, "C5": 70}, signal={("C4", "left"): 30}, record={})
    write_scan(tmp_path / "sub-09", {"C4": 80, "C5": 70}, record={})
    link = tmp_path / "sub-10" / "sub-10_T2w_shape.csv"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "sub-01" / "anat" / "sub-01_T2w_shape.csv")
    group = group_measures([tmp_path])
    row = statistic(group, "MEAN(area)", "C4")
    assert (row["n"], row["mean"]) == (3, pytest.approx((80 + 93 + 80) / 3))
    reason = "its values are those of sub-0{}_T2w, the same scan under two names; keep the right one"
    assert {path.name: why for path, why in group.left_out.items()} == {
        "sub-02_ses-b_T2w_shape.csv": reason.format("2_ses-a"),
        "sub-09_T2w_shape.csv": reason.format(1),
        "sub-10_T2w_shape.csv": reason.format(1),
    }
    assert f"left out, 2: {reason.format(1)} (sub-09_T2w, sub-10_T2w)" in group.notes


def test_levels_that_were_computed_in_another_way_are_not_averaged(tmp_path):
    for number, distance in enumerate((2.4, 2.4, 6.0), start=1):
        shape = write_scan(
            tmp_path / f"sub-0{number}", {"C4": 80 + number}, record={"Levels": {"Table": f"sub-0{number}_levels.csv"}}
        )
        facts = {"Method": "segment", "DistanceMillimeters": distance}
        shape.with_name(f"sub-0{number}_levels.json").write_text(json.dumps(facts))
    with pytest.raises(DatasetError, match=r"rootlets within 2\.4 mm \(2\), 6 mm \(1\), such as .*sub-03_T2w_shape"):
        group_measures([tmp_path])
    assert statistic(group_measures([tmp_path / "sub-01", tmp_path / "sub-02"]), "MEAN(area)", "C4")["n"] == 2
    (tmp_path / "sub-03" / "anat" / "sub-03_levels.json").unlink()
    assert statistic(group_measures([tmp_path]), "MEAN(area)", "C4")["n"] == 3


def test_numbers_that_nothing_independent_supports_are_said(tmp_path):
    for number, agree in enumerate((True, False), start=1):
        table = f"sub-0{number}_levels.csv"
        shape = write_scan(tmp_path / f"sub-0{number}", {"C4": 80 + number}, record={"Levels": {"Table": table}})
        facts = {"VertebralNumbering": {"FixedByGivenDiscs": False, "KindsOfEvidenceAgree": agree}}
        shape.with_name(table).with_suffix(".json").write_text(json.dumps(facts))
    notes = [note for note in group_measures([tmp_path]).notes if "nothing independent" in note]
    assert len(notes) == 1
    assert "of 1 of 2 subjects" in notes[0]
    assert notes[0].endswith("(sub-02)")


def test_bad_input(tmp_path):
    with pytest.raises(DatasetError, match=r"no measures \(\*_shape.csv\)"):
        group_measures([tmp_path])
    with pytest.raises(DatasetError, match="does not exist"):
        group_measures([tmp_path / "no"])
    shape = write_scan(tmp_path / "sub-01", {"C4": 80}, record={"Levels": {"Numbering": 0.1}})
    with pytest.raises(DatasetError, match="none of the 1 measured scans counts"):
        group_measures([tmp_path])
    other = shape.with_name("sub-01_acq-2_T2w_shape.csv")
    other.write_text("x,y\n1,2\n")
    with pytest.raises(DatasetError, match="sub-01 has the measures of more than one scan"):
        group_measures([tmp_path])
    with pytest.raises(DatasetError, match="is not a table of measures"):
        group_measures([tmp_path], match="acq-2")


def test_the_command_writes_tables_and_figures(tmp_path, capsys):
    for number, area in enumerate((80, 84, 88, 90), 1):
        write_scan(
            tmp_path / "in" / f"sub-0{number}", {"C4": area, "C5": area - 4}, record={}, norm=76, volumes={"C4": 0.0}
        )
    out = tmp_path / "out"
    arguments = ["group", "-measures", "-i", str(tmp_path / "in"), "-ofolder", str(out)]
    assert main(arguments) == 0
    assert "  C4     85.5 ± 4.4 (4)" in capsys.readouterr().out
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    tables = {f"group_measures{ending}" for ending in (".csv", "_statistics.csv", "_scans.csv", ".json")}
    figures = {f"group_measures_{table}.{ending}" for table in ("shape", "lesions") for ending in ("png", "svg")}
    assert set(first) == tables | figures
    values = pd.read_csv(out / "group_measures.csv", keep_default_na=False)
    assert set(values["session_id"]) == {"n/a"}
    assert set(values[values["measure"] == "MEAN(area)"]["norm_mean"].astype(float)) == {76}
    assert main(arguments) == 0  # own files are replaced, by the same ones
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    (out / "group_measures.csv").write_text("mine")
    assert main(arguments) == 1
    assert "group_measures.csv was not written by this command" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "-normalize-height"])
