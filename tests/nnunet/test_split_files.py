import csv
import json

import pytest
from splits import CONTRASTS, assert_sound, cases_of, people

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.split_files import read_split, write_split_table
from sct_rootlets.nnunet.splits import Case, make_split


def table(path, rows, delimiter="\t"):
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    return path


def test_a_written_table_reads_back(tmp_path):
    cases = cases_of(11, ("1", "2"), CONTRASTS)
    split = make_split(cases, 3)
    write_split_table(tmp_path / "splits.tsv", cases, split)
    again, notes = read_split(tmp_path / "splits.tsv", cases)
    assert (again, notes) == (split, [])
    rows = list(csv.DictReader((tmp_path / "splits.tsv").open(), delimiter="\t"))
    assert len(rows) == 88
    assert {row["case"] for row in rows if row["split"] == "test"} == split.test


def test_a_table_of_subjects_with_train_val_and_test(tmp_path):
    cases = cases_of(4, ("1", "2"), CONTRASTS)
    rows = [("participant_id", "split"), ("sub-01", "train"), ("sub-02", "val"), ("03", "Test"), ("sub-04", "train")]
    for name, delimiter in (("a.tsv", "\t"), ("a.csv", ",")):
        split, notes = read_split(table(tmp_path / name, rows, delimiter), cases)
        assert_sound(split)
        assert notes == []
        train, validation = split.sides()[0]
        assert people(train, split.persons) == {"sub-01", "sub-04"}
        assert people(validation, split.persons) == {"sub-02"}
        assert people(split.test, split.persons) == {"sub-03"}


def test_a_table_that_spells_out_one_fold(tmp_path):
    rows = [("participant_id", "split", "fold"), ("sub-01", "train", "0"), ("sub-02", "train", "0"),
            ("sub-03", "val", "0"), ("sub-04", "test", "n/a")]  # fmt: skip
    split, notes = read_split(table(tmp_path / "s.tsv", rows), cases_of(4, ("1", "2")))
    assert_sound(split)
    (sides,) = split.sides()
    assert [people(side, split.persons) for side in sides] == [{"sub-01", "sub-02"}, {"sub-03"}]
    assert (people(split.test, split.persons), notes) == ({"sub-04"}, [])


def test_a_table_that_spells_out_every_fold(tmp_path):
    """One row a subject and fold; where somebody is on two sides of a fold, it is refused."""
    rows = [("participant_id", "split", "fold"), ("sub-04", "test", "")]
    for fold in range(3):
        rows += [(f"sub-0{n + 1}", "val" if n == fold else "train", str(fold)) for n in range(3)]
    split, _ = read_split(table(tmp_path / "s.tsv", rows), cases_of(4))
    assert [people(validation, split.persons) for _, validation in split.sides()] == [
        {"sub-01"},
        {"sub-02"},
        {"sub-03"},
    ]
    assert people(split.test, split.persons) == {"sub-04"}
    with pytest.raises(DatasetError, match=r"s\.tsv, fold 1, leaks: sub-03 is in training .* and in validation"):
        read_split(table(tmp_path / "s.tsv", [*rows, ("sub-03", "val", "1")]), cases_of(4))


@pytest.mark.parametrize(
    "rows",
    [
        [("participant_id", "session_id", "split"), ("sub-01", "1", "train"), ("sub-01", "2", "test"),
         ("sub-02", "1", "val")],
        [("participant_id", "split"), ("sub-01", "train"), ("sub-01", "val"), ("sub-02", "train")],
        [("participant_id", "split", "fold"), ("sub-01", "train", "0"), ("sub-01", "train", "1"),
         ("sub-02", "train", "0")],
        [("case", "split"), ("sub-01_1_T2w", "train"), ("sub-01_2_T2w", "val"), ("sub-02_1_T2w", "train")],
        [("case", "split"), ("sub-01_1_T2w", "test"), ("sub-01_1_UNIT1", "train"), ("sub-02_1_T2w", "val")],
    ],
)  # fmt: skip
def test_a_table_that_leaks_is_refused(tmp_path, rows):
    path = table(tmp_path / "s.tsv", rows)
    with pytest.raises(
        DatasetError, match=r"s\.tsv, fold 0, leaks: sub-01 is in (training|validation) .* belong on one side"
    ):
        read_split(path, cases_of(3, ("1", "2"), CONTRASTS[:2]))


def test_the_same_subject_in_two_folders_may_not_be_split(tmp_path):
    cases = cases_of(3, prefix="one-") + cases_of(3, prefix="two-")
    rows = [("case", "split"), ("one-sub-01_None_T2w", "train"), ("two-sub-01_None_T2w", "test")]
    with pytest.raises(DatasetError, match="leaks: sub-01 is in training"):
        read_split(table(tmp_path / "s.tsv", rows), cases)


@pytest.mark.parametrize("name", ["sub-01_1_T2w", "sub-01"])
def test_a_json_of_nnunet_that_leaks_is_refused(tmp_path, name):
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["sub-01_2_T2w", "sub-02_1_T2w"], "val": [name]}]))
    with pytest.raises(DatasetError, match="fold 0, leaks: sub-01"):
        read_split(path, cases_of(3, ("1", "2")))


def test_who_is_not_in_the_json_of_nnunet_is_not_trained_on(tmp_path):
    cases = cases_of(10, ("1", "2"))
    split = make_split(cases, 2)
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps(split.as_nnunet()))
    again, notes = read_split(path, cases)
    assert again == split
    assert "kept for the test" in notes[0]


def test_new_people_are_trained_on_and_new_scans_of_the_test_are_not(tmp_path):
    cases = cases_of(10)
    split = make_split(cases, 2)
    write_split_table(tmp_path / "splits.tsv", cases, split)
    more = cases_of(12, (None, "later"))
    again, notes = read_split(tmp_path / "splits.tsv", more)
    assert_sound(again)
    assert people(again.test, again.persons) == people(split.test, split.persons)
    assert len(again.test) == 2 * len(split.test)
    assert notes == ["splits.tsv does not name sub-11, sub-12: trained on in every fold"]


def test_a_table_of_the_test_alone_leaves_the_folds_to_us(tmp_path):
    rows = [("participant_id", "split"), ("sub-01", "test"), ("sub-02", "test"), ("sub-77", "test")]
    split, notes = read_split(table(tmp_path / "s.tsv", rows), cases_of(10), n_folds=4)
    assert_sound(split)
    assert people(split.test, split.persons) == {"sub-01", "sub-02"}
    assert [len(fold) for fold in split.folds] == [2, 2, 2, 2]
    assert notes[-1] == "1 names in s.tsv are of no scan that is there"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("s.tsv", "who\twhere\n1\t2\n", "no columns participant_id"), ("s.tsv", "", "no rows"),
     ("s.tsv", "participant_id\tsplit\nsub-01\tmaybe\n", "'maybe' is none of train, val and test"),
     ("s.tsv", "participant_id\tsplit\tfold\nsub-01\ttrain\tone\n", "is not a split"),
     ("s.tsv", "participant_id\tsplit\nsub-88\ttest\n", "names none of the 3 scans"),
     ("s.json", "[1]", "is not a split"), ("s.json", "{", "is not a split"),
     ("s.json", '[{"train": [], "dev": []}]', "'dev'")],
)  # fmt: skip
def test_what_is_no_split(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_split(tmp_path / name, cases_of(3))
    with pytest.raises(DatasetError, match="cannot be read"):
        read_split(tmp_path / "gone.tsv", cases_of(3))


def published_cases():
    """Two sessions of each of six subjects, and one of a seventh without a session."""
    sessions = [(f"{n:03d}", session) for n in range(1, 7) for session in ("headNormal", "headUp")]
    return [
        Case(name=f"sub-{subject}_ses-{session}_T2w", subject=subject, session=session, image_hash=subject + session)
        for subject, session in sessions
    ] + [Case(name="sub-amu01_T2w", subject="amu01", image_hash="amu01")]


def published_table(path, sides):
    """The table of the published repository: nnU-Net's number of the case ends each name."""
    names = [f"sub-{n:03d}_ses-{session}" for n in range(1, 7) for session in ("headNormal", "headUp")]
    rows = [("Subject", "Fold_0", "Fold_1")]
    rows += [(f"{name}_{i:03d}", *sides[name[4:7]][i % 2]) for i, name in enumerate(names)]
    return table(path, [*rows, ("sub-amu01_064", "Train", "Validation")], ",")


CLEAN = {
    "001": [("Validation", "Train")] * 2,
    "002": [("Train", "Validation")] * 2,
    "003": [("Train", "Train")] * 2,
    "004": [("Train", "Train")] * 2,
    "005": [("Train", "Train")] * 2,
    "006": [("Test", "Test")] * 2,
}


def test_a_published_table_with_a_column_for_each_fold(tmp_path):
    split, notes = read_split(published_table(tmp_path / "s.csv", CLEAN), published_cases())
    assert_sound(split)
    assert notes == []
    assert people(split.test, split.persons) == {"sub-006"}
    assert [people(fold, split.persons) for fold in split.folds] == [{"sub-001"}, {"sub-002", "sub-amu01"}]


def test_all_persons_on_two_sides_are_named_and_may_be_moved_to_one(tmp_path):
    """As in the published splits: one session trained on, and the other one validated on or tested."""
    sides = CLEAN | {
        "003": [("Train", "Train"), ("Train", "Validation")],
        "004": [("Test", "Test"), ("Validation", "Train")],
    }
    path = published_table(tmp_path / "s.csv", sides)
    with pytest.raises(DatasetError) as caught:
        read_split(path, published_cases())
    message = str(caught.value)
    assert "fold 0, leaks: sub-004 is in validation (sub-004_ses-headUp_T2w) and in test" in message
    assert "; so are sub-003; all scans" in message
    assert "(-person-clean moves them to one)" in message
    split, notes = read_split(path, published_cases(), person_clean=True)
    assert_sound(split)
    assert people(split.test, split.persons) == {"sub-004", "sub-006"}
    assert [people(fold, split.persons) for fold in split.folds] == [{"sub-001"}, {"sub-002", "sub-003", "sub-amu01"}]
    assert notes == [
        "sub-004 is in validation and in test of s.csv (fold 0); all of its scans are now in test",
        "sub-003 is in training and in validation of s.csv (fold 1); all of its scans are now in validation",
    ]


def test_a_published_table_with_another_side(tmp_path):
    path = published_table(tmp_path / "s.csv", CLEAN | {"001": [("Excluded", "Train")] * 2})
    with pytest.raises(DatasetError, match="'Excluded' is none of train, val and test"):
        read_split(path, published_cases())
