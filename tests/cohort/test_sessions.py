"""Scans of one session whose levels have other names at the same place."""

import json
import shutil
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli import bids as command
from sct_rootlets.cohort import sessions
from sct_rootlets.cohort.plan import make_plan
from sct_rootlets.cohort.run import implausible_scans
from sct_rootlets.cohort.selection import Filter
from sct_rootlets.cohort.sessions import compare_places, find_contradictions
from sct_rootlets.output.page import read_entries


def levels_at(heights):
    return {value: np.array([0.0, 3.0, -height]) for value, height in heights.items()}


@pytest.mark.parametrize(
    ("second", "shift"),
    [
        ({3: 0, 4: 15, 5: 31}, 0),
        ({3: 6, 4: 21, 5: 37}, 0),  # the person moved by 6 mm
        ({4: 0, 5: 15, 6: 31}, 1),
        ({4: 3, 5: 18, 6: 34}, 1),  # and moved by 3 mm
        ({2: 0, 3: 15, 4: 31}, -1),
        ({4: 8, 5: 24, 6: 39}, 0),  # half a level off: nobody knows
        ({3: 4, 4: 11}, 0),  # a slab that shows the lower half of C3 and the upper half of C4
        ({5: 0, 6: 15, 7: 31}, 2),  # only two names in common
        ({7: 0, 8: 15, 9: 31}, 4),  # none
        ({7: 61, 8: 76, 9: 92}, 0),  # another part of the neck
        ({5: 0}, 0),  # one level says nothing
        ({}, 0),
    ],
)
def test_places_are_compared_by_all_levels(second, shift):
    first = levels_at({3: 0, 4: 15, 5: 31, 6: 46})
    assert compare_places(first, levels_at(second)) == shift
    assert compare_places(levels_at(second), first) == -shift


@pytest.fixture
def session(bids):
    """The first subject gets a T2*w of the same session, with the same rootlets, named one higher, without discs."""
    for folder in (bids, bids / "derivatives" / "labels"):
        anat = folder / "sub-01" / "anat"
        for path in list(anat.glob("*T2w*.nii.gz")):
            target = path.with_name(path.name.replace("T2w", "T2starw"))
            if "discs" in path.name:
                continue
            shutil.copy(path, target)
            if "rootlets" in path.name:
                image = nib.load(path)
                data = np.asarray(image.dataobj)
                named = np.where(data > 0, data + 1, 0).astype(np.uint8)
                nib.save(nib.Nifti1Image(named, image.affine), target)
    # The second subject is no copy of the first.
    (path,) = (bids / "derivatives" / "labels" / "sub-02" / "ses-a" / "anat").glob("*label-rootlets_*.nii.gz")
    image = nib.load(path)
    data = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(data == data.max(), 0, data).astype(np.uint8), image.affine), path)
    return bids


CONTRASTS = ("T2w", "T2starw")


def run_bids(session, out, *level):
    options = ["-contrasts", *CONTRASTS, "-discs", "none", "-exclude", "ses-b", "-jobs", "1"]
    return command.main([str(session), str(out), *level, *options])


def test_a_scan_that_another_one_of_its_session_contradicts_is_named_and_left_out(session, out, capsys):
    assert run_bids(session, out, "participant", "-strict") == 3
    text = capsys.readouterr().out
    assert "note: sub-01_T2starw is implausible" in text
    assert "lies where sub-01_T2w of the same session has" in text
    assert text.count("give one disc of it") == 1
    assert "sub-01_T2w is implausible" not in text  # its discs are given
    plan = make_plan(session, out, wanted=Filter(contrasts=CONTRASTS, exclude="ses-b"))
    (one,) = find_contradictions(plan.jobs)
    assert one.kind == "spinal"
    names = dict(zip((one.first, one.second), one.names, strict=True))
    assert (names["sub-01_T2w"], names["sub-01_T2starw"]) in [("C2", "C3"), ("C3", "C4")]
    assert "sub-01_T2starw" in implausible_scans(plan)
    listed, _ = read_entries(out / "qc" / "rootlets")
    assert not any("session" in facts["flags"] for facts in listed)  # entries say what their scan says
    shown = (out / "qc" / "rootlets" / "entries.js").read_text(encoding="utf-8")
    shown = json.loads(shown.removeprefix("sctRootletsEntries(").removesuffix(");\n"))["entries"]
    flags = {facts["file"]: facts["flags"].get("session", {}).get("state") for facts in shown}
    assert flags == {"sub-01_T2starw.nii.gz": "bad", "sub-01_T2w.nii.gz": None, "sub-02_ses-a_T2w.nii.gz": None}
    options = ["-contrasts", "T2starw", "-discs", "none", "-exclude", "ses-b", "-jobs", "1", "-strict"]
    assert command.main([str(session), str(out), "participant", *options]) == 3  # also of one contrast alone
    assert "note: sub-01_T2starw is implausible" in capsys.readouterr().out
    assert command.main([str(session), str(out), "participant", *options, "-exclude-list", "sub-01_T2w"]) == 0
    assert run_bids(session, out, "participant", "-strict") == 3
    assert run_bids(session, out, "group") == 0
    text = capsys.readouterr().out
    assert "note: sub-01_T2starw is left out: spinal level " in text
    assert (out / "group" / "T2w" / "group_agreement.csv").is_file()
    assert not (out / "group" / "T2starw").exists()


def test_scans_that_agree_are_not_named(session, out, capsys):
    anat = session / "derivatives" / "labels" / "sub-01" / "anat"
    shutil.copy(anat / "sub-01_T2w_label-rootlets_dseg.nii.gz", anat / "sub-01_T2starw_label-rootlets_dseg.nii.gz")
    run_bids(session, out, "participant")
    assert "of the same session" not in capsys.readouterr().out


def job_of(name):
    return SimpleNamespace(stem=name, scan=SimpleNamespace(image=SimpleNamespace(subject="01", session=None)))


@pytest.mark.parametrize(
    ("with_discs", "doubted", "advice"),
    [
        ((), {"c"}, "give one disc of it"),  # two scans against one
        (("c",), {"a", "b"}, "give one disc of it"),
        (("a", "c"), {"b", "c"}, None),
        (("a", "b", "c"), {"c"}, "check its discs"),
    ],
)
def test_who_is_doubted(monkeypatch, with_discs, doubted, advice):
    right, wrong = levels_at({3: 0, 4: 15, 5: 31}), levels_at({4: 1, 5: 16, 6: 32})
    places = {name: {"spinal": wrong if name == "c" else right, "vertebral": {}} for name in "abc"}
    monkeypatch.setattr(sessions, "_level_places", lambda job: places[job.stem])
    monkeypatch.setattr(sessions, "_has_discs", lambda job: job.stem in with_discs)
    flags = sessions.session_flags([job_of(name) for name in "abc"])
    assert flags.keys() == doubted
    if advice:
        assert {flag.advice for flag in flags.values()} == {advice}


def test_of_two_scans_without_discs_both_are_doubted(monkeypatch):
    places = {"a": levels_at({3: 0, 4: 15}), "b": levels_at({4: 1, 5: 16})}
    monkeypatch.setattr(sessions, "_level_places", lambda job: {"spinal": {}, "vertebral": places[job.stem]})
    monkeypatch.setattr(sessions, "_has_discs", lambda job: False)
    flags = sessions.session_flags([job_of("a"), job_of("b")])
    assert {name: flag.text for name, flag in flags.items()} == {
        "a": "vertebral level C3 lies where b of the same session has C4",
        "b": "vertebral level C4 lies where a of the same session has C3",
    }
    assert {flag.advice for flag in flags.values()} == {"give one disc of the scan that is wrong, or of both"}


@pytest.mark.parametrize("levels", [None, 5, [{}], [{"kind": "spinal", "value": 3, "point": [1, 2]}], [{"kind": "x"}]])
def test_entries_of_other_versions_have_no_places(monkeypatch, levels):
    monkeypatch.setattr(sessions, "read_entry", lambda *_: {"levels": levels})
    assert sessions._level_places(SimpleNamespace(page=None, about=None)) == {"spinal": {}, "vertebral": {}}
