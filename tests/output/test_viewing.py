"""The line for FSLeyes, parsed again as a shell would."""

import shlex
from dataclasses import replace
from pathlib import Path

from sct_rootlets.output.viewing import LAYER_OPTIONS, fsleyes_command, level_layers


def layers_of(command):
    """Files and options of each layer, from the lowest to the topmost."""
    program, *words, last = shlex.split(command)
    assert (program, last) == ("fsleyes", "&")
    starts = [at for at, word in enumerate(words) if word.endswith(".nii.gz")]
    return [(words[at], words[at + 1 : end]) for at, end in zip(starts, [*starts[1:], len(words)], strict=True)]


def test_layers_lie_upon_the_image_with_the_colour_maps_of_sct():
    given = {name: Path(f"/data of 'ours'/{name}.nii.gz") for name in ("rootlets", "cord", "levels", "image")}
    layers = layers_of(fsleyes_command(given))
    assert [file for file, _ in layers] == [f"/data of 'ours'/{name}.nii.gz" for name in LAYER_OPTIONS]
    assert layers[0] == ("/data of 'ours'/image.nii.gz", ["-cm", "greyscale"])
    assert layers[-1][1][:2] == ["-cm", "subcortical"]
    assert dict(layers)["/data of 'ours'/cord.nii.gz"][:2] == ["-cm", "red"]


def test_without_an_image_or_labels_there_is_nothing_to_show():
    assert fsleyes_command({"cord": Path("/a.nii.gz")}) == ""
    assert fsleyes_command({"image": Path("/a.nii.gz"), "cord": None}) == ""


def test_paths_may_be_those_from_a_folder():
    given = {"image": Path("/bids/sub-01/t2.nii.gz"), "cord": Path("/bids/derivatives/ours/sub-01/seg.nii.gz")}
    files = [file for file, _ in layers_of(fsleyes_command(given, relative_to=Path("/bids/derivatives/ours")))]
    assert files == ["../../sub-01/t2.nii.gz", "sub-01/seg.nii.gz"]


def test_what_was_written_is_shown_or_else_what_was_given(phantom_levels):
    image = replace(phantom_levels.image, path=Path("/data/t2.nii.gz"))
    sources = {"cord": replace(phantom_levels.cord, path=Path("/data/seg.nii.gz"))}
    subject = replace(phantom_levels, image=image, sources=sources)
    written = [
        Path("/out/t2_levels.csv"),
        Path("/out/t2_label-rootlets_dseg.nii.gz"),
        Path("/out/t2_label-vertebralLevels_dseg.nii.gz"),
        Path("/out/t2_label-spinalLevels_dseg.nii.gz"),
        Path("/out/t2_label-spinalLevels_dseg.json"),
    ]
    assert level_layers(subject, written) == {
        "image": Path("/data/t2.nii.gz"),
        "cord": Path("/data/seg.nii.gz"),
        "rootlets": Path("/out/t2_label-rootlets_dseg.nii.gz"),
        "levels": Path("/out/t2_label-spinalLevels_dseg.nii.gz"),
    }
    bare = level_layers(replace(subject, image=None, sources={}, spinal=None, vertebral=None), [])
    assert set(bare.values()) == {None}
