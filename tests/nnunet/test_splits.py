import csv
import itertools
import json
import random

import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.splits import Case, Split, find_persons, make_split, read_split, summary, write_table

CONTRASTS = ("T2w", "UNIT1", "INV1", "INV2")


def cases_of(n_subjects, sessions=(None,), contrasts=CONTRASTS[:1], prefix=""):
    return [
        Case(
            f"{prefix}sub-{n:02d}_{session}_{contrast}",
            f"{n:02d}",
            session,
            contrast,
            f"{prefix}{n}{session}{contrast}",
        )
        for n, session, contrast in itertools.product(range(1, n_subjects + 1), sessions, contrasts)
    ]


def people(cases, persons):
    return {persons[case] for case in cases}


def assert_sound(split):
    """Nobody on two sides of any fold; everybody is somewhere; nobody of the test in any fold."""
    for train, validation in split.sides():
        sides = [people(side, split.persons) for side in (train, validation, split.test)]
        assert not any(a & b for a, b in itertools.combinations(sides, 2))
        assert set(train) | set(validation) | split.test == set(split.persons)


@pytest.mark.parametrize("seed", range(20))
def test_random_cohorts_never_leak(seed):
    """Any number of sessions and contrasts a subject, in two folders, with images under two names."""
    rng = random.Random(seed)
    cases = []
    for n in range(rng.randint(6, 40)):
        for scan in range(rng.randint(1, 8)):
            folder, session = rng.choice("AB"), rng.choice([None, "1", "2"])
            image = f"shared{n // 2}" if rng.random() < 0.05 else f"{n}-{scan}"
            cases.append(Case(f"{folder}{n}-{scan}", f"s{n}" if folder == "A" else f"S{n}", session, "T2w", image))
    rng.shuffle(cases)
    split = make_split(cases, n_folds=rng.choice([1, 2, 3]), test_share=rng.choice([0.0, 0.1, 0.3]), seed=seed)
    assert_sound(split)
    subjects = {case.name: case.subject.lower() for case in cases}
    for train, validation in split.sides():
        assert not {subjects[name] for name in train} & {subjects[name] for name in [*validation, *split.test]}


def test_folds_share_out_everybody_once():
    cases = cases_of(20, ("1", "2"), CONTRASTS)
    split = make_split(cases, n_folds=5, test_share=0.2)
    assert_sound(split)
    assert len(people(split.test, split.persons)) == 4
    validated = [name for fold in split.folds for name in fold]
    assert sorted([*validated, *split.test]) == sorted(case.name for case in cases)
    assert {len(fold) for fold in split.folds} <= {3 * 8, 4 * 8}


def test_a_split_does_not_depend_on_the_order_of_the_scans():
    cases = cases_of(12, ("1", "2"))
    assert make_split(cases).as_nnunet() == make_split(cases[::-1]).as_nnunet()
    assert make_split(cases, seed=1).as_nnunet() != make_split(cases).as_nnunet()


def test_one_fold_validates_on_a_fifth():
    split = make_split(cases_of(20), n_folds=1, test_share=0.25)
    assert [len(side) for side in split.sides()[0]] == [12, 3]
    assert summary(split) == [
        "test: 5 subjects (5 scans)",
        "fold 0: trained on 12 subjects (12 scans), validated on 3 subjects (3 scans)",
    ]


@pytest.mark.parametrize(("n", "folds", "share"), [(2, 1, 0.2), (5, 5, 0.2), (1, 1, 0.0), (3, 3, 0.1)])
def test_too_few_subjects(n, folds, share):
    with pytest.raises(DatasetError, match=f"there are {n} subjects; .* need"):
        make_split(cases_of(n, ("1", "2"), CONTRASTS), folds, share)


def test_one_image_under_two_names_is_one_person():
    cases = [Case("a", "01", None, "T2w", "x"), Case("b", "99", None, "T2w", "x"), Case("c", "99", "2", "T2w", "y")]
    assert find_persons(cases) == dict.fromkeys("abc", "sub-01 = sub-99")


def test_two_scans_of_one_name():
    with pytest.raises(DatasetError, match="the same name"):
        find_persons([Case("a", "01"), Case("a", "02")])


@pytest.mark.parametrize(
    ("test", "fold", "where"),
    [({"sub-01_1_T2w"}, {"sub-01_2_T2w"}, "validation .* test"), ({"sub-02_1_T2w"}, {"sub-01_1_T2w"}, "training"),
     ({"sub-02_1_T2w", "sub-02_2_T2w"}, {"sub-01_2_T2w"}, "training .* validation")],
)  # fmt: skip
def test_a_split_that_leaks_cannot_be_made(test, fold, where):
    persons = find_persons(cases_of(4, ("1", "2")))
    with pytest.raises(DatasetError, match=f"fold 0 leaks: sub-0[12] is in .*{where}"):
        Split(persons, frozenset(test), (frozenset(fold),))


def test_an_empty_side():
    persons = find_persons(cases_of(2))
    everybody = frozenset(persons)
    for folds, message in [
        ((frozenset(),), "nobody for validation"),
        ((everybody,), "nobody for training"),
        ((), "no fold"),
    ]:
        with pytest.raises(DatasetError, match=message):
            Split(persons, frozenset(), folds)


def table(path, rows, delimiter="\t"):
    path.write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    return path


def test_a_written_table_reads_back(tmp_path):
    cases = cases_of(11, ("1", "2"), CONTRASTS)
    split = make_split(cases, 3)
    write_table(tmp_path / "splits.tsv", cases, split)
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
    write_table(tmp_path / "splits.tsv", cases, split)
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
     ("s.tsv", "participant_id\tsplit\tfold\nsub-01\ttrain\tone\n", "is no split"),
     ("s.tsv", "participant_id\tsplit\nsub-88\ttest\n", "names none of the 3 scans"),
     ("s.json", "[1]", "is no split"), ("s.json", "{", "is no split"),
     ("s.json", '[{"train": [], "dev": []}]', "'dev'")],
)  # fmt: skip
def test_what_is_no_split(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_split(tmp_path / name, cases_of(3))
    with pytest.raises(DatasetError, match="cannot be read"):
        read_split(tmp_path / "gone.tsv", cases_of(3))
