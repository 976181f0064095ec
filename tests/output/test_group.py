"""Files of a group."""

import matplotlib
import pytest
from cohorts import level_rows, write_cohort, write_subject

from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.output.group import save_group


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    write_cohort(folder, 11)
    return compare(collect([folder]), n_resamples=200)


def test_the_user_s_settings_do_not_matter(group, tmp_path):
    for name, settings in (("ours", {}), ("theirs", {"axes.facecolor": "black", "font.size": 30})):
        with matplotlib.rc_context(settings):
            save_group(group, tmp_path / name)
    for path in (tmp_path / "ours").iterdir():
        assert path.read_bytes() == (tmp_path / "theirs" / path.name).read_bytes(), path.name


def test_a_single_subject_with_a_pair_is_written_whole(tmp_path):
    write_subject(tmp_path, "sub-01", level_rows())
    write_subject(tmp_path, "sub-02", [row for row in level_rows() if row["kind"] == "spinal"])
    written = save_group(compare(collect([tmp_path])), tmp_path / "out")
    assert len([path for path in written if path.suffix in (".png", ".svg")]) == 10
    summary = (tmp_path / "out" / "group_summary.md").read_text(encoding="utf-8")
    assert summary.count("![group_") == 5
