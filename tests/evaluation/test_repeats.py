"""Repeated scans, from level tables in files to the variation of positions."""

import json

import numpy as np
import pandas as pd
import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.repeats import evaluate_repeats
from sct_rootlets.sidecar import sha256_of


def level_table(folder, name, middles, reference="PMJ", method="extent"):
    folder.mkdir(exist_ok=True)
    rows = [
        {"level": level, "name": f"C{level}", "kind": "spinal", "method": method, "rostral_mm": middle - 5,
         "caudal_mm": middle + 5, "midpoint_mm": middle, "length_mm": 10.0, "reference": reference}
        for level, middle in middles.items()
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / f"{name}_levels.csv", index=False)


def test_repeated_scans(tmp_path):
    """Sessions of two subjects; a level seen in one session only has a row that says so."""
    level_table(tmp_path, "sub-01_ses-a_T2w", {3: 49.0, 4: 70.0})
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 51.0})
    level_table(tmp_path, "sub-02_ses-a_T2w", {3: 60.0})
    level_table(tmp_path, "sub-02_ses-b_T2w", {3: 60.0})
    study = evaluate_repeats([tmp_path], "ses")
    table = study.tables["variability"].set_index(["group", "name"])
    assert table.cov_percent["sub-01_T2w", "C3"] == pytest.approx(100 * np.sqrt(2) / 50)
    assert table.cov_percent["sub-02_T2w", "C3"] == 0
    assert table.note["sub-01_T2w", "C4"] == "seen once (a)"
    assert study.tables["variability_by_level"].cov_percent.tolist() == pytest.approx([100 * np.sqrt(2) / 100])


def test_levels_that_the_field_of_view_may_have_cut_do_not_vary(tmp_path):
    """Half of C4 is outside in one session: its middle has not moved, and nobody knows where it is."""
    for session, middle in (("a", 70.0), ("b", 66.0)):
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0, 4: middle})
        path = tmp_path / f"sub-01_ses-{session}_T2w_levels.csv"
        table = pd.read_csv(path)
        table.assign(complete=(table["name"] == "C3") | (session == "a")).to_csv(path, index=False)
    study = evaluate_repeats([tmp_path], "ses")
    table = study.tables["variability"].set_index("name")
    assert table.n_repeats.to_dict() == {"C3": 2, "C4": 1}
    assert table.note["C4"] == "seen once (a)"
    assert study.notes == ("b, sub-01_T2w: C4 left out, because it may be longer than stated",)


def test_one_person_under_many_names_and_in_many_contrasts(tmp_path):
    for number, site in enumerate(("amu", "mgh", "ucl")):
        level_table(tmp_path / "a", f"sub-{site}_T2w", {3: 50.0 + number})
    table = evaluate_repeats([tmp_path / "a"], "sub").tables["variability"]
    assert (table.group.tolist(), table.n_repeats.tolist(), table.sd_mm.tolist()) == (["T2w"], [3], [1.0])
    for number, contrast in enumerate(("T2w", "inv-1_part-mag_MP2RAGE")):
        level_table(tmp_path / "b", f"sub-01_{contrast}", {3: 50.0 + number})
    table = evaluate_repeats([tmp_path / "b"], "contrast").tables["variability"]
    assert (table.group.tolist(), table.n_repeats.tolist()) == (["sub-01"], [2])


def test_level_tables_that_do_not_compare(tmp_path):
    level_table(tmp_path, "sub-01_ses-a_T2w", {3: 49.0})
    with pytest.raises(DatasetError, match="nothing repeats"):
        evaluate_repeats([tmp_path], "ses")
    with pytest.raises(DatasetError, match="has no acq- in its name"):
        evaluate_repeats([tmp_path], "acq")
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 9.0}, reference="disc C2/C3")
    with pytest.raises(
        DatasetError, match=r"different references \(sub-01_T2w a from PMJ but sub-01_T2w b from disc C2/C3\)"
    ):
        evaluate_repeats([tmp_path], "ses")
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 49.0}, method="segment")
    with pytest.raises(DatasetError, match=r"different methods \(extent and segment\)"):
        evaluate_repeats([tmp_path], "ses")
    (tmp_path / "sub-01_ses-b_T2w_levels.csv").write_text("level,name\n3,C3\n")
    with pytest.raises(DatasetError, match=r"ses-b_T2w_levels.csv has no column caudal_mm; give level tables"):
        evaluate_repeats([tmp_path], "ses")
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 49.0})
    path = tmp_path / "sub-01_ses-b_T2w_levels.csv"
    path.write_text(path.read_text().replace("49.0", "n/a"))
    with pytest.raises(DatasetError, match=r"ses-b_T2w_levels.csv has a row whose midpoint_mm is not a number"):
        evaluate_repeats([tmp_path], "ses")
    (tmp_path / "sub-01_ses-b_T2w_levels.csv").write_text("")
    with pytest.raises(DatasetError, match="cannot be read as a table"):
        evaluate_repeats([tmp_path], "ses")


def travelling_volunteer(folder, middles):
    """Level tables of one person at six sites; participants.tsv with the vendor of each site."""
    vendors = ["GE", "GE", "Siemens", "Siemens", "Siemens", "Philips"]
    lines = ["participant_id\tmanufacturer"]
    for i, (vendor, of_site) in enumerate(zip(vendors, middles, strict=True)):
        level_table(folder, f"sub-site{i}_T2w", of_site)
        lines.append(f"sub-site{i}\t{vendor}")
    path = folder / "participants.tsv"
    path.write_text("\n".join(lines))
    return path


def test_variation_within_each_vendor(tmp_path):
    """As published: the coefficient of variation of each level over the sites of a vendor, and its mean over levels."""
    rng = np.random.default_rng(0)
    middles = [{level: 20.0 * level + rng.normal(0, 2) for level in (3, 4, 5)} for _ in range(6)]
    path = travelling_volunteer(tmp_path, middles)
    study = evaluate_repeats([tmp_path], "sub", path, "manufacturer")
    table = study.tables["variability_of_groups"].set_index("scan_group")
    assert list(table.index) == ["all", "GE", "Philips", "Siemens"]
    for vendor, sites in (("all", slice(0, 6)), ("GE", slice(0, 2)), ("Siemens", slice(2, 5))):
        values = pd.DataFrame(middles[sites])
        cov = 100 * values.std() / values.mean()
        row = table.loc[vendor]
        assert (row.cov_percent_mean, row.cov_percent_sd) == pytest.approx((cov.mean(), cov.std()))
        assert row.sd_mm == pytest.approx(np.sqrt(values.var().mean()))
        assert (row.n_scans, row.n_levels) == (len(values), 3)
        by_level = study.tables["variability_in_groups"].query("scan_group == @vendor")
        assert by_level.cov_percent.to_numpy() == pytest.approx(cov.to_numpy())
    assert (table.note["Philips"], table.n_levels["Philips"]) == ("nothing repeats", 0)
    assert "Philips: nothing repeats within this group, so it has no variation" in study.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("participant_id\tvendor\nsub-site0\tGE\n", "it needs manufacturer"),
        ("name\tmanufacturer\nsub-site0\tGE\n", "it needs manufacturer .* and scan .or participant_id"),
        ("participant_id\tmanufacturer\nsub-site0\tGE\n", "no manufacturer for sub-site1 and 4 others"),
        ("participant_id\tmanufacturer\nsub-site0\tGE\nsub-site0\tGE\n", "names sub-site0 twice"),
        ("", "cannot be read as a tab-separated table"),
        (
            "participant_id\tmanufacturer\n" + "".join(f"sub-site{i}\tn/a\n" for i in range(6)),
            "no manufacturer for sub-site0 and 5 others; its cell is empty or n/a; write a value",
        ),
        ("participant_id\tmanufacturer\tmanufacturer\nsub-site0\tGE\tGE\n", "two columns called manufacturer"),
        ("participant_id\tmanufacturer\nsub-site0\tGE\tMR750\n", r"row 2 has more cells than there are columns \(2\)"),
    ],
)
def test_tables_of_groups_that_do_not_fit(tmp_path, text, message):
    path = travelling_volunteer(tmp_path, [{3: 50.0}] * 6)
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        evaluate_repeats([tmp_path], "sub", path, "manufacturer")


def test_groups_of_sessions(tmp_path):
    for session in "abcd":
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0 + ord(session)})
    path = tmp_path / "sessions.tsv"
    rows = [f"sub-01\tses-{session}\t{'x' if session < 'c' else 'y'}" for session in "abcd"]
    path.write_text("\n".join(["participant_id\tsession_id\tscanner", *rows]))
    table = evaluate_repeats([tmp_path], "ses", path, "scanner").tables["variability_of_groups"]
    assert table.set_index("scan_group").n_scans.to_dict() == {"all": 4, "x": 2, "y": 2}


def test_a_group_may_be_called_na_and_comments_may_hold_quotation_marks(tmp_path):
    """Only empty cells and n/a are missing; a mark of inches swallows no row."""
    path = travelling_volunteer(tmp_path, [{3: 50.0 + i} for i in range(6)])
    groups = ["NA", "NA", "nan", "nan", "None", "None"]
    comments = ['"moved', "", '12" coil', "", '"late" scan', ""]
    rows = [f"sub-site{i}\t{comment}\t{group}" for i, (comment, group) in enumerate(zip(comments, groups, strict=True))]
    path.write_text("participant_id\tcomment\tmanufacturer\n" + "\n".join([*rows[:-1], "sub-site5 \t\t None "]))
    table = evaluate_repeats([tmp_path], "sub", path, "manufacturer").tables["variability_of_groups"]
    assert table.set_index("scan_group").n_scans.to_dict() == {"all": 6, "NA": 2, "None": 2, "nan": 2}
    quoted = [f'"sub-site{i}"\t"{group}"' for i, group in enumerate(groups)]  # as R writes it
    path.write_text("\n".join(['"participant_id"\t"manufacturer"', *quoted]))
    assert evaluate_repeats([tmp_path], "sub", path, "manufacturer").tables["variability_of_groups"].equals(table)


def test_tables_of_different_distances_do_not_compare(tmp_path):
    for session, distance in (("a", 1.2), ("b", 5), ("c", None)):
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0 + ord(session)})
        if distance is not None:
            sidecar = tmp_path / f"sub-01_ses-{session}_T2w_levels.json"
            sidecar.write_text(json.dumps({"Method": "extent", "DistanceMillimeters": distance}))
    message = (
        r"different distances \(1\.2 mm in \S+ses-a_T2w_levels.csv, 5 mm in \S+ses-b_T2w_levels.csv\); make all with"
    )
    with pytest.raises(DatasetError, match=message):
        evaluate_repeats([tmp_path], "ses")
    sidecar = tmp_path / "sub-01_ses-b_T2w_levels.json"
    sidecar.rename(tmp_path / "sub-01_ses-b_T2w_label-spinalLevels_dseg.json")  # of an older version
    with pytest.raises(DatasetError, match=message):
        evaluate_repeats([tmp_path], "ses")
    (tmp_path / "sub-01_ses-b_T2w_label-spinalLevels_dseg.json").unlink()
    assert evaluate_repeats([tmp_path], "ses").tables["variability"].n_repeats.tolist() == [3]


def test_a_table_that_was_changed_since_it_was_written_is_noted(tmp_path):
    for session in "ab":
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0 + ord(session)})
    path = tmp_path / "sub-01_ses-b_T2w_levels.csv"
    path.with_suffix(".json").write_text(json.dumps({"Written": {path.name: sha256_of(path)}}))
    assert evaluate_repeats([tmp_path], "ses").notes == ()
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 60.0})
    (note,) = evaluate_repeats([tmp_path], "ses").notes
    assert note == f"{path} was changed since it was written; its map shows what was there before"


def test_one_scan_under_two_names_is_noted(tmp_path):
    for session, middle in (("a", 50.0), ("b", 51.0), ("c", 50.0)):
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: middle, 4: 70.0})
    (note,) = evaluate_repeats([tmp_path], "ses").notes
    assert note.startswith("sub-01_T2w: the levels of ses c are those of a to 0.001 mm, as of one scan under two names")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4,C4,", "3,C3,", "has spinal level C3 twice; make the table again"),
        ("4,C4,", "5,C4,", "has a level C4 of kind spinal with the value 5, which is none"),
        ("4,C4,", "4,C44,", "has a level C44 of kind spinal with the value 4, which is none"),
        ("4,C4,spinal", "4,C4,dorsal", "has a level C4 of kind dorsal"),
        ("4,C4,", ",C4,", "has a row whose level is not a number"),
        ("65.0", "inf", "has a row whose rostral_mm is not a number"),
        ("65.0", '"65,0"', "has a row whose rostral_mm is not a number"),
        ("65.0", "65,0", r"row 3 has more cells than there are columns \(9\)"),
        ("65.0", "75.5", "has no valid ends for spinal level C4"),
        ("65.0", '"65.0', "cannot be read as a table"),
        ("75.0,70.0", "85.0,70.0", "has a length or a midpoint of spinal level C4 that are not those of its ends"),
        ("70.0,10.0", "70.0,12.0", "has a length or a midpoint of spinal level C4 that are not those of its ends"),
        ("length_mm", "midpoint_mm", "has two columns called midpoint_mm; keep one"),
    ],
)
def test_level_tables_that_make_no_sense_are_errors(tmp_path, old, new, message):
    for session in "ab":
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0, 4: 70.0})
    path = tmp_path / "sub-01_ses-b_T2w_levels.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=f"ses-b_T2w_levels.csv .*{message}") as caught:
        evaluate_repeats([tmp_path], "ses")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("cell", "n_repeats"), [("TRUE", 2), ("1", 2), ("False", 1), ("yes", None), ("", None)])
def test_complete_is_true_or_false(tmp_path, cell, n_repeats):
    for session, complete in (("a", "True"), ("b", cell)):
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0 + ord(session), 4: 70.0 + ord(session)})
        path = tmp_path / f"sub-01_ses-{session}_T2w_levels.csv"
        header, c3, c4 = path.read_text().splitlines()
        path.write_text("\n".join([f"{header},complete", f"{c3},True", f"{c4},{complete}"]))
    if n_repeats is None:
        with pytest.raises(DatasetError, match="has a row whose complete is neither True nor False"):
            evaluate_repeats([tmp_path], "ses")
    else:
        table = evaluate_repeats([tmp_path], "ses").tables["variability"].set_index("name")
        assert table.n_repeats.to_dict() == {"C3": 2, "C4": n_repeats}
