"""Which level tables are compared, and what is said of the others."""

import json
import shutil
from pathlib import Path

import pytest
from cohorts import level_rows, write_cohort, write_participants, write_subject

from sct_rootlets.errors import DatasetError
from sct_rootlets.group.collect import abbreviate, collect
from sct_rootlets.sidecar import sha256_of


@pytest.fixture
def folder(tmp_path) -> Path:
    write_cohort(tmp_path / "levels", 4)
    return tmp_path / "levels"


def subjects(cohort):
    return [scan.subject for scan in cohort.scans]


def fails(*fragments, **options):
    with pytest.raises(DatasetError) as caught:
        collect(**options)
    assert "\n" not in str(caught.value)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_tables_of_all_subjects_are_found(folder):
    cohort = collect([folder])
    assert subjects(cohort) == ["sub-01", "sub-02", "sub-03", "sub-04"]
    assert cohort.notes == ()
    first = cohort.scans[0]
    assert (first.reference, first.method, first.names_from_discs, len(first.levels)) == ("PMJ", "extent", False, 15)
    assert subjects(collect([folder, folder / "sub-01"])) == subjects(cohort)  # none is taken twice


def test_scans_named_by_their_discs_are_left_out_with_a_note(folder):
    write_subject(folder, "sub-02", level_rows(), names_from_discs=True)
    write_subject(folder, "sub-03", level_rows(scale=1.1), names_from_discs=None)
    (folder / "sub-03" / "anat" / "sub-03_T2w_label-spinalLevels_dseg.json").unlink()
    cohort = collect([folder])
    assert subjects(cohort) == ["sub-01", "sub-03", "sub-04"]
    assert [scan.subject for scan, _ in cohort.left_out] == ["sub-02"]
    assert cohort.notes[0] == "left out, 1: discs decided the names of its spinal levels (sub-02)"
    assert "no sidecar says how spinal levels of 1 of 3 subjects got their names" in cohort.notes[1]
    kept = collect([folder], keep_names_from_discs=True)
    assert len(kept.scans) == 4
    assert any("kept as asked, 1" in note for note in kept.notes)


def test_scans_of_doubtful_numbers_are_left_out_with_a_note(folder):
    sure, doubtful = (
        [dict(row, confidence=value) for row in level_rows(scale=scale)] for value, scale in ((0.93, 1.0), (0.61, 1.1))
    )
    write_subject(folder, "sub-02", doubtful)
    write_subject(folder, "sub-03", sure)
    cohort = collect([folder])
    assert subjects(cohort) == ["sub-01", "sub-03", "sub-04"]
    assert cohort.notes == ("left out, 1: the numbers of its vertebrae are uncertain (sub-02)",)
    assert len(collect([folder], keep_uncertain=True).scans) == 4


def test_two_tables_for_a_subject(folder):
    write_subject(folder, "sub-02", level_rows(), suffix="UNIT1")
    fails("sub-02 has more than one level table", "sub-02_T2w_levels.csv", "-match", folders=[folder])
    assert len(collect([folder], match="_T2w").scans) == 4


def test_mixed_references_and_methods(folder):
    write_subject(folder, "sub-03", level_rows(reference="disc C2/C3"))
    fails("positions from PMJ (3), disc C2/C3 (1)", "sub-03", "-reference", folders=[folder])
    cohort = collect([folder], reference="PMJ")
    assert subjects(cohort) == ["sub-01", "sub-02", "sub-04"]
    assert "left out, 1: positions from disc C2/C3, not PMJ (sub-03)" in cohort.notes
    write_subject(folder, "sub-03", level_rows(method="segment"))
    fails("the method extent (3), segment (1)", folders=[folder])


def write_facts(folder, subject, **facts):
    """The sidecar of a level table."""
    (folder / subject / "anat" / f"{subject}_T2w_levels.json").write_text(json.dumps(facts))


def test_mixed_distances(folder):
    for number in (1, 2, 3):
        write_facts(folder, f"sub-0{number}", Method="extent", DistanceMillimeters=2.4)
    assert collect([folder]).notes == ()  # nothing is known of the fourth
    write_facts(folder, "sub-02", Method="extent", DistanceMillimeters=6.0)
    fails(
        "tables do not belong together: spinal levels of rootlets within 2.4 mm (2), 6 mm (1), such as",
        "sub-02_T2w_levels.csv not 2.4 mm; use one for all (-distance)",
        folders=[folder],
    )
    # vertebral levels do not depend on it
    write_subject(folder, "sub-02", [row for row in level_rows() if row["kind"] == "vertebral"])
    assert len(collect([folder]).scans) == 4


def test_mixed_models_are_said(folder):
    for number, (name, digest) in enumerate((("a", "1"), ("a", "1"), ("a", "2"), ("b", "3")), start=1):
        write_facts(folder, f"sub-0{number}", Model={"Name": name, "Version": "2.2", "SHA256": {"x.pth": digest}})
    (note,) = collect([folder]).notes
    assert note == (
        "labels were segmented by 3 different models: a 2.2 (2), a 2.2 (1), b 2.2 (1); differences between models look "
        "like differences between people"
    )


def test_tables_that_were_edited_or_make_no_sense_are_said(folder):
    path = folder / "sub-01" / "anat" / "sub-01_T2w_levels.csv"
    write_facts(folder, "sub-01", Written={path.name: sha256_of(path)})
    assert collect([folder]).notes == ()
    rows = level_rows()
    by_name = {row["name"]: row for row in rows if row["kind"] == "spinal"}
    ends = ("rostral_mm", "caudal_mm", "midpoint_mm", "length_mm")
    for end in ends:  # exchanged
        by_name["C4"][end], by_name["C5"][end] = by_name["C5"][end], by_name["C4"][end]
    last = max(rows, key=lambda row: (row["kind"], row["caudal_mm"]))
    last |= {"caudal_mm": last["rostral_mm"] + 57, "midpoint_mm": last["rostral_mm"] + 28.5, "length_mm": 57}
    write_subject(folder, "sub-01", rows)
    assert collect([folder]).notes == (
        "level tables of 1 of 4 subjects were changed since they were written (sub-01); their maps and figures show "
        "what was there before",
        "levels out of order, 1: sub-01: C5 above C4; check these tables and their labels",
        f"levels longer than levels are, 1: sub-01: vertebral {last['name']}, 57 mm; check these tables and their "
        "labels",
    )


def test_numbers_that_nothing_independent_supports_are_said(folder):
    found = {"Probability": 0.95, "FixedByGivenDiscs": False, "KindsOfEvidenceAgree": False}
    write_facts(folder, "sub-01", VertebralNumbering=found)
    write_facts(folder, "sub-02", VertebralNumbering={**found, "KindsOfEvidenceAgree": True})
    write_facts(folder, "sub-03", VertebralNumbering={**found, "FixedByGivenDiscs": True})
    cohort = collect([folder])
    assert len(cohort.scans) == 4
    assert cohort.notes == (
        "nothing independent supports the numbers of the vertebrae of 1 of 4 subjects, which were found in the image: "
        "their spinal and vertebral levels may be off by one together; one disc each settles it (-ldisc) (sub-01)",
    )


@pytest.mark.parametrize("how", [shutil.copy, lambda source, target: target.symlink_to(source), None])
def test_a_scan_under_two_names_counts_once(folder, how):
    source = folder / "sub-01" / "anat" / "sub-01_T2w_levels.csv"
    target = folder / "sub-09" / "anat" / "sub-09_T2w_levels.csv"
    target.parent.mkdir(parents=True)
    if how is None:  # saved by a spreadsheet
        target.write_bytes(source.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    else:
        how(source, target)
    write_participants(folder / "participants.tsv", {f"sub-0{n}": 160 + n for n in (1, 2, 3, 4)} | {"sub-09": 199})
    cohort = collect([folder], need_height=True)
    assert subjects(cohort) == ["sub-01", "sub-02", "sub-03", "sub-04"]
    assert cohort.notes == (
        "left out, 1: its levels are those of sub-01, the same scan under two names; keep the right one (sub-09)",
    )


def test_a_copy_of_a_scan_that_is_left_out_is_left_out_too(folder):
    """Its sidecar was not copied: it would not be known that discs decided the names."""
    rows = level_rows(scale=1.1)
    write_subject(folder, "sub-05", rows, names_from_discs=True)
    write_subject(folder, "sub-06", rows, names_from_discs=None)
    cohort = collect([folder])
    assert subjects(cohort) == ["sub-01", "sub-02", "sub-03", "sub-04"]
    assert [(scan.subject, why) for scan, why in cohort.left_out] == [
        ("sub-05", "discs decided the names of its spinal levels"),
        ("sub-06", "its levels are those of sub-05, the same scan under two names; keep the right one"),
    ]


def test_different_levels_of_one_image_are_said(folder):
    for number in (1, 3):
        write_facts(folder, f"sub-0{number}", Scan={"Path": str(number), "Grid": "g", "Voxels": "v"})
    write_facts(folder, "sub-02", Scan={"Path": "2", "Grid": "g", "Voxels": None})
    assert collect([folder]).notes == (
        "levels of 2 subjects are of one and the same image; keep the right one (sub-01, sub-03)",
    )


def test_one_subject_or_none(tmp_path, folder):
    fails("only one subject (sub-01)", "two or more", folders=[folder / "sub-01"])
    (tmp_path / "empty").mkdir()
    fails("no level tables", "sct_compute_spinal_levels writes them", folders=[tmp_path / "empty"])
    fails("missing does not exist", folders=[tmp_path / "missing"])
    for number in (1, 2, 3, 4):
        write_subject(folder, f"sub-0{number}", level_rows(), names_from_discs=True)
    fails("no subject to compare", "4 left out: discs decided", folders=[folder])


def test_heights_are_needed_where_positions_are_normalised(tmp_path, folder):
    fails("give participants.tsv (-participants)", folders=[folder], need_height=True)
    path = tmp_path / "participants.tsv"
    heights = {"sub-01": 170, "sub-02": 180, "sub-03": "n/a"}
    write_participants(path, heights)
    cohort = collect([folder], path, need_height=True)
    assert subjects(cohort) == ["sub-01", "sub-02"]
    assert "left out, 2: no height in participants.tsv (sub-03, sub-04)" in cohort.notes
    unknown = collect([folder], path)
    assert len(unknown.scans) == 4
    assert "1 of 4 subjects are not in participants.tsv (sub-04)" in unknown.notes
    write_participants(path, dict.fromkeys(heights, "n/a"))
    fails("has no height of any subject", folders=[folder], participants=path, need_height=True)


def test_participants_beside_the_tables_are_found(folder):
    write_participants(folder / "participants.tsv", {f"sub-0{number}": 170 for number in (1, 2, 3, 4)})
    assert collect([folder], need_height=True).participant("sub-03").height_cm == 170


def test_tables_without_the_name_of_a_subject_have_their_own(tmp_path):
    for name, scale in (("anna", 1.0), ("ben", 1.1)):
        write_subject(tmp_path, f"sub-{name}", level_rows(scale=scale)).rename(tmp_path / f"{name}_levels.csv")
    write_participants(tmp_path / "participants.tsv", {"anna": 170, "sub-ben": 181})
    cohort = collect([tmp_path], need_height=True)
    assert {name: cohort.participant(name).height_cm for name in subjects(cohort)} == {"anna": 170, "ben": 181}


def test_participants_of_several_sites_are_put_together(tmp_path):
    for site, subject, height in (("a", "sub-01", 170), ("b", "sub-02", 181)):
        write_subject(tmp_path / site, subject, level_rows(scale=height / 170))
        write_participants(tmp_path / site / "participants.tsv", {subject: height})
    cohort = collect([tmp_path / "a", tmp_path / "b"], need_height=True)
    assert [cohort.participant(subject).height_cm for subject in subjects(cohort)] == [170, 181]
    write_participants(tmp_path / "b" / "participants.tsv", {"sub-01": 165, "sub-02": 181})
    fails("differ on sub-01", "different names", folders=[tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        (
            (1.70, 1.82, 1.65, 1.78),
            "4 of 4 heights seem to be in metres (sub-01: 1.7; expected for adults: 130 to 220); write them in cm",
        ),
        ((170, 182, 1.65, 178), "1 of 4 heights seem to be in metres (sub-03: 1.65;"),
        ((170, 62.6378, 164.3, 179.7), "1 of 4 heights seem to be in inches (sub-02: 62.6378; expected for adults"),
        ((170, 182, 165, 1780), "1 of 4 heights seem to be in another unit than cm, or wrong (sub-04: 1780;"),
        ((170, 100, 165, 178), "1 of 4 heights seem to be in another unit than cm, or wrong (sub-02: 100;"),
        ((-170, 180, 165, 178), "1 of 4 heights seem to be in another unit than cm, or wrong (sub-01: -170;"),
    ],
)
def test_heights_that_nobody_has(tmp_path, folder, heights, message):
    """An error where positions depend on them, and a note where only correlations do."""
    path = write_participants(
        tmp_path / "participants.tsv", {f"sub-0{i}": height for i, height in enumerate(heights, start=1)}
    )
    fails(message, folders=[folder], participants=path, need_height=True)
    (note,) = collect([folder], path).notes
    assert message in note
    assert note.endswith("write them in cm: correlations with height are wrong until then")


def test_heights_of_children(tmp_path, folder):
    path = tmp_path / "participants.tsv"
    table = "participant_id\tage\theight\nsub-01\t9\t{}\nsub-02\t6\t115\nsub-03\t30\t130\nsub-04\tn/a\t220\n"
    path.write_text(table.format(136))
    assert len(collect([folder], path, need_height=True).scans) == 4
    path.write_text(table.format(53.5))  # 136 cm
    fails("in inches (sub-01: 53.5; expected for the age of 9: 85 to 160)", folders=[folder], participants=path,
          need_height=True)  # fmt: skip
    path.write_text(table.format(136).replace("\t30\t130", "\tn/a\t129"))
    fails("(sub-03: 129; expected for adults, as there is no age: 130 to 220)", folders=[folder], participants=path,
          need_height=True)  # fmt: skip


def test_subjects_with_one_kind_of_levels_are_said(folder):
    write_subject(folder, "sub-02", [row for row in level_rows() if row["kind"] == "spinal"])
    assert "1 of 4 subjects have no vertebral levels (sub-02)" in collect([folder]).notes


def test_long_lists_of_names_are_abbreviated():
    assert abbreviate(["a", "b"]) == "a, b"
    assert abbreviate(list("abcde")) == "a, b, c, d, e"
    assert abbreviate(list("abcdef")) == "a, b, c, d, e, …"
