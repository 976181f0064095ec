"""Files of an evaluation."""

from scores import two_methods

from sct_rootlets.output.evaluation import save_evaluation


def test_files_are_svg_and_png_and_the_same_every_time(tmp_path):
    study = two_methods(tmp_path / "scans")
    names = {"scores", "methods"}
    for folder in ("one", "two"):
        written = save_evaluation(study, tmp_path / folder)
        assert {f"{name}.{ending}" for name in names for ending in ("svg", "png")} <= {path.name for path in written}
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert (tmp_path / "one" / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert "<text" in (tmp_path / "one" / "scores.svg").read_text()  # letters stay letters
