"""Cases of made-up subjects, and what holds for every split of them."""

import itertools

from sct_rootlets.nnunet.splits import Case

CONTRASTS = ("T2w", "UNIT1", "INV1", "INV2")


def cases_of(n_subjects, sessions=(None,), contrasts=CONTRASTS[:1], prefix=""):
    return [
        Case(
            name=f"{prefix}sub-{n:02d}_{session}_{contrast}",
            subject=f"{n:02d}",
            session=session,
            contrast=contrast,
            image_hash=f"{prefix}{n}{session}{contrast}",
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
