import gzip
import json
from pathlib import Path

TESTING_DATA = Path(__file__).parents[2] / "testing_data"


def test_testing_data_is_what_the_generator_writes(phantom_folder):
    """`sct_rootlets phantom -ofolder testing_data` regenerates the committed files."""
    written = {path.relative_to(phantom_folder): path for path in phantom_folder.rglob("*.*") if path.is_file()}
    assert written
    for name, path in written.items():
        committed = TESTING_DATA / name
        if path.suffix == ".gz":  # compression may differ between builds of zlib, what is compressed may not
            assert gzip.decompress(committed.read_bytes()) == gzip.decompress(path.read_bytes()), name
        else:
            assert json.loads(committed.read_text()) == json.loads(path.read_text()), name
