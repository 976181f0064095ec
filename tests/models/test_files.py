from sct_rootlets.models.files import changed_files, hash_read_files
from sct_rootlets.models.installed import find_installed
from sct_rootlets.sidecar import sha256_of


def test_changes_are_seen(one_model):
    inner = one_model / "ours" / "f00"
    folder = inner / "nnUNetTrainer__x"
    (folder / "plans.json").write_text("other")
    (folder / "fold_0" / "debug.json").unlink()
    (folder / "heads.json").touch()
    (folder / "notes.txt").touch()  # nothing reads it
    assert [change.split("/")[-1] for change in changed_files(inner, find_installed("ours").files)] == [
        "debug.json is missing",
        "plans.json has changed",
        "heads.json was added",
    ]


def test_only_the_files_that_are_read_are_hashed(one_model):
    inner = one_model / "ours" / "f00"
    names = ["nnUNetTrainer__x/fold_0/checkpoint_final.pth", "nnUNetTrainer__x/plans.json"]
    assert hash_read_files(inner) == {name: sha256_of(inner / name) for name in names}


def test_the_hash_is_that_of_the_standard(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the first example of FIPS 180-2
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
