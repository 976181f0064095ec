import random

import pytest
from splits import CONTRASTS, assert_sound, cases_of, people

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.splits import Case, Split, find_persons, make_split, summary


@pytest.mark.parametrize("seed", range(20))
def test_random_cohorts_never_leak(seed):
    """Any number of sessions and contrasts a subject, in two folders, with images under two names."""
    rng = random.Random(seed)
    cases = []
    for n in range(rng.randint(6, 40)):
        for scan in range(rng.randint(1, 8)):
            folder, session = rng.choice("AB"), rng.choice([None, "1", "2"])
            image = f"shared{n // 2}" if rng.random() < 0.05 else f"{n}-{scan}"
            subject = f"s{n}" if folder == "A" else f"S{n}"
            case = Case(name=f"{folder}{n}-{scan}", subject=subject, session=session, contrast="T2w", image_hash=image)
            cases.append(case)
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
    named = (("a", "01", None, "x"), ("b", "99", None, "x"), ("c", "99", "2", "y"))
    cases = [
        Case(name=name, subject=subject, session=session, contrast="T2w", image_hash=image)
        for name, subject, session, image in named
    ]
    assert find_persons(cases) == dict.fromkeys("abc", "sub-01 = sub-99")


def test_two_scans_of_one_name():
    with pytest.raises(DatasetError, match="the same name"):
        find_persons([Case(name="a", subject="01"), Case(name="a", subject="02")])


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
