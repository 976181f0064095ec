"""Participants of a group from their tables."""

import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.group.participants import Participant, read_participants


def test_participants(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text(
        "participant_id\tage\tsex\theight\tsite\nsub-01\t31\tF\t168.5\tx\n02\tn/a\t-\t\tx\n\t\t\t\t\n\t\t\t\t\n",
        encoding="utf-8-sig",
    )
    assert read_participants(path) == {
        "sub-01": Participant(31, "F", 168.5),
        "sub-02": Participant(None, None, None),
    }
    for content, message in (
        ("subject\theight\nsub-01\t170\n", "no column participant_id"),
        ("participant_id\theight\nsub-01\t170\n01\t171\n", "sub-01 twice"),
        ("participant_id\theight\nsub-01\ttall\n", "the height of sub-01 is 'tall'"),
        ("participant_id,height\nsub-01,170\n", "no column participant_id"),
    ):
        path.write_text(content)
        with pytest.raises(DatasetError, match=message):
            read_participants(path)
    with pytest.raises(DatasetError, match=r"missing\.tsv does not exist"):
        read_participants(tmp_path / "missing.tsv")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_participants(tmp_path)
