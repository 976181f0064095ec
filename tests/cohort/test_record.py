from sct_rootlets.cohort.record import Record, read_record
from sct_rootlets.sidecar import sha256_of


def test_what_was_written_is_told_from_what_was_changed(tmp_path):
    """Also while files are being replaced: both the old and the new one are ours."""
    old, new, other = (tmp_path / name / "a.nii.gz" for name in ("old", "new", "other"))
    for path in (old, new, other):
        path.parent.mkdir()
        path.write_text(path.parent.name)
    facts = {"Version": "1", "Sources": {"image": "bids::a"}}
    record = Record(
        fingerprint="f",
        finished=False,
        written={"a.nii.gz": sha256_of(new)},
        earlier={"a.nii.gz": [sha256_of(old)]},
        facts=facts,
    )
    record.save(tmp_path / "record.json")
    again = read_record(tmp_path / "record.json")
    assert [again.wrote(path) for path in (old, new, other)] == [True, True, False]
    assert not again.wrote(tmp_path / "b.nii.gz")
    assert (again.fingerprint, again.finished) == ("f", False)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["record.json"]


def test_a_damaged_record_is_none(tmp_path):
    for text in ("", "{}", "[1]", '{"Fingerprint": "f"'):
        (tmp_path / "record.json").write_text(text)
        assert read_record(tmp_path / "record.json") is None
    assert read_record(tmp_path / "none.json") is None
