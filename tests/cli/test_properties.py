"""Whatever the files look like: a right result, or one line; and the same result for the same image written otherwise.

Files are drawn by hypothesis: axis order, flips, data types, scaling, units, headers, endings, values and damage.
"""

import contextlib
import csv
import gzip
import io
import itertools
import shutil
import struct
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli import compute_spinal_levels

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
given, settings = hypothesis.given, hypothesis.settings(deadline=None, derandomize=True, database=None)

SHAPE, ORIGIN_MM = (20, 21, 60), (-9.0, -10.0, -30.0)
AFFINE = nib.affines.from_matvec(np.eye(3), ORIGIN_MM)
#: Lowest and highest slice of each level's rootlets, and slice of each disc, by value.
ROOTLETS, DISCS = {4: (42, 50), 5: (29, 37), 6: (16, 24)}, {4: 50, 5: 34, 6: 18}
OPTIONS = {"cord": "-s", "rootlets": "-rootlets", "discs": "-ldisc"}
#: Borders of the levels by method segment, in mm from the top of the cord (slice 59.5): the lowest rootlet of a level
#: ends it, and each level begins where the level above it ends.
ENDS_MM = {("C4", "spinal"): (9, 18), ("C5", "spinal"): (18, 31), ("C6", "spinal"): (31, 44),
           ("C4", "vertebral"): (9.5, 25.5), ("C5", "vertebral"): (25.5, 41.5)}  # fmt: skip

AXES = ["".join(ends) for order in itertools.permutations(["RL", "AP", "SI"]) for ends in itertools.product(*order)]
SPELLINGS = st.fixed_dictionaries(
    {
        "axes": st.sampled_from(AXES),
        "dtype": st.sampled_from(["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"]),
        "byte_order": st.sampled_from("<>"),
        "codes": st.sampled_from([(1, 1), (1, 0), (0, 1), (2, 1), (4, 4)]),
        "units": st.sampled_from(["mm", "mm", "unknown", "meter", "micron"]),
        # of exact fractions: label value = slope x stored value + intercept
        "scaling": st.sampled_from([(1.0, 0.0), (0.5, 0.0), (1.0, -10.0), (0.25, -1.0), (0.0, 0.0)]),
        "ending": st.sampled_from([".nii", ".nii.gz"]),
    }
)
PLAIN = {"axes": "RAS", "dtype": "u1", "byte_order": "<", "codes": (1, 1), "units": "mm", "scaling": (0.0, 0.0),
         "ending": ".nii"}  # fmt: skip
UNIT_IN_MM = {"meter": 1000.0, "micron": 0.001}

#: Fields of a header: offset in bytes, format, and values that do not belong there or are rare.
FIELDS = {
    "sizeof_hdr": (0, "i", [0, 540, 1543569408, -1]),
    "dim[0]": (40, "h", [-1, 0, 1, 2, 4, 7, 8, 32767]),
    "dim[1]": (42, "h", [-5, 0, 1, 19, 21, 32767]),
    "dim[3]": (46, "h", [-5, 0, 1, 59, 61, 32767]),
    "dim[4]": (48, "h", [-5, 0, 2, 32767]),
    "datatype": (70, "h", [0, 1, 4, 8, 16, 64, 128, 256, 1536, 1792, 9999, -1]),
    "bitpix": (72, "h", [0, 1, 16, 64, -8]),
    "pixdim[0]": (76, "f", [0.0, -1.0, 7.0, np.nan]),
    "pixdim[1]": (80, "f", [0.0, -1.0, np.nan, np.inf, 1e-9, 1e9]),
    "pixdim[3]": (88, "f", [0.0, -1.0, np.nan, np.inf, 1e-9, 1e9, 50.0]),
    "vox_offset": (108, "f", [0.0, 16.0, 351.0, 1e9, -1.0, np.nan, np.inf]),
    "scl_slope": (112, "f", [np.nan, np.inf, -1.0, 1e-30, 1e30]),
    "scl_inter": (116, "f", [np.nan, np.inf, -1.0, 0.5, 1e30]),
    "xyzt_units": (123, "B", [0, 1, 2, 3, 4, 7, 10, 24, 255]),
    "qform_code": (252, "h", [-1, 0, 9, 9999]),
    "sform_code": (254, "h", [-1, 0, 9, 9999]),
    "quatern_b": (256, "f", [np.nan, 5.0, 1.0]),
    "srow_x[0]": (280, "f", [np.nan, np.inf, 0.0, 1e-9, 1e9, -1.0, 0.7]),
    "srow_z[3]": (324, "f", [np.nan, np.inf, 1e30]),
    "magic": (344, "4s", [b"abcd", b"ni1\0", b"n+2\0", b"\0\0\0\0"]),
}
DAMAGES = st.one_of(
    st.tuples(st.just("field"), st.sampled_from([(name, value) for name in FIELDS for value in FIELDS[name][2]])),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True)),
    st.tuples(st.just("byte"), st.tuples(st.integers(0, 347), st.integers(0, 255))),
    st.tuples(st.just("value"), st.sampled_from([np.nan, np.inf, -np.inf, 0.5, -3.0, 60.0, 255.0, 1e30])),
    st.tuples(st.just("all"), st.sampled_from([0.0, 1.0, 4.0, np.nan, 1e-3, -1.0])),
)


def make_labels():
    """A straight cord of 8 mm, dorsal and ventral rootlets of three levels beside it, and three discs; 1 mm voxels."""
    x, y = (start + np.arange(n) for start, n in zip(ORIGIN_MM[:2], SHAPE[:2], strict=True))
    x, y = x[:, None], y[None]
    radius = np.hypot(x, y)
    cord = np.broadcast_to((radius <= 4)[..., None], SHAPE).astype("u1")
    beside = (radius > 4) & (radius < 5.5) & (abs(x) > 1) & (abs(y) > 2)
    rootlets, discs = np.zeros(SHAPE, "u1"), np.zeros(SHAPE, "u1")
    for value, (low, high) in ROOTLETS.items():
        rootlets[..., low : high + 1][beside] = value
    for value, height in DISCS.items():
        discs[9, 18, height] = value  # 8 mm anterior to the middle of the cord
    return {"cord": cord, "rootlets": rootlets, "discs": discs}


LABELS = make_labels()


def nifti_bytes(data, spelling):
    """The bytes of an uncompressed NIfTI file that holds labels, spelled in one of many ways."""
    axes = nib.orientations.axcodes2ornt(spelling["axes"])
    image = nib.Nifti1Image(data, AFFINE).as_reoriented(axes)
    slope, intercept = spelling["scaling"]
    values = np.asarray(image.dataobj)
    if slope:
        values = (values - intercept) / slope
    dtype = np.dtype(spelling["dtype"]).newbyteorder(spelling["byte_order"])
    header = nib.Nifti1Header(endianness=spelling["byte_order"])
    header.set_data_dtype(dtype)
    affine = np.diag([*[1 / UNIT_IN_MM.get(spelling["units"], 1)] * 3, 1]) @ image.affine
    written = nib.Nifti1Image(values.astype(dtype), affine, header)
    sform, qform = spelling["codes"]
    written.set_sform(affine, sform)
    written.set_qform(affine, qform)
    written.header.set_xyzt_units(spelling["units"])
    return put(written.to_bytes(), 112, spelling["byte_order"] + "ff", slope, intercept)


def put(content, offset, form, *values):
    packed = struct.pack(form, *values)
    return content[:offset] + packed + content[offset + len(packed) :]


def save(folder, kind, content, ending):
    path = folder / f"t2_{kind}{ending}"
    path.write_bytes(gzip.compress(content, 1) if ending.endswith(".gz") else content)
    return path


def run(paths, folder):
    """Run the command in process; returns its exit status, its two streams, and its level table or None."""
    out = folder / "out"
    argv = [word for kind, path in paths.items() for word in (OPTIONS[kind], str(path))]
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        status = compute_spinal_levels.main([*argv, "-ofolder", str(out), "-figure", "0"])
    tables = list(out.glob("*_levels.csv"))
    table = None
    if tables:
        with tables[0].open(newline="") as file:
            table = list(csv.DictReader(file))
    assert status or table
    assert not (status and out.exists() and list(out.iterdir()))
    return status, *(stream.getvalue() for stream in streams), table


def notes(said):
    return {line for line in said.splitlines() if line.startswith("note: ")}


@pytest.fixture(scope="module")
def right():
    """The level table of the labels, written plainly, and the notes on it."""
    folder = Path(tempfile.mkdtemp())
    try:
        paths = {kind: save(folder, kind, nifti_bytes(data, PLAIN), ".nii") for kind, data in LABELS.items()}
        status, said, error, table = run(paths, folder)
    finally:
        shutil.rmtree(folder)
    assert (status, error) == (0, "")
    return table, notes(said)


def test_the_labels_give_the_levels_that_they_were_drawn_with(right):
    ends = {(row["name"], row["kind"]): (float(row["rostral_mm"]), float(row["caudal_mm"])) for row in right[0]}
    assert ends.keys() == ENDS_MM.keys()
    for level, expected in ENDS_MM.items():
        assert ends[level] == pytest.approx(expected, abs=0.01)


@hypothesis.settings(settings, max_examples=200)
@given(spellings=st.fixed_dictionaries(dict.fromkeys(LABELS, SPELLINGS)), ending=st.sampled_from([".nii", ".nii.gz"]))
def test_the_same_voxels_give_the_same_table_however_they_are_written(right, spellings, ending):
    """Each of the three files is written in a way of its own."""
    with tempfile.TemporaryDirectory() as name:
        paths = {
            kind: save(Path(name), kind, nifti_bytes(LABELS[kind], spelling), ending)
            for kind, spelling in spellings.items()
        }
        status, _, error, table = run(paths, Path(name))
    assert (status, error) == (0, "")
    assert table == right[0]


@hypothesis.settings(settings, max_examples=300)
@given(kind=st.sampled_from(list(LABELS)), damage=DAMAGES, spelling=SPELLINGS, where=st.integers(0, 2**31))
def test_a_damaged_file_is_one_line_or_makes_no_difference_unsaid(right, kind, damage, spelling, where):
    what, value = damage
    labels = dict(LABELS)
    if what in ("value", "all"):
        spelling = {**spelling, "dtype": "f4", "scaling": (0.0, 0.0)}
        data = labels[kind].astype("f4")
        if what == "all":
            data[:] = value
        else:
            data.flat[where % data.size] = value
        labels[kind] = data
    contents = {name: nifti_bytes(data, spelling if name == kind else PLAIN) for name, data in labels.items()}
    if what == "field":
        offset, form, _ = FIELDS[value[0]]
        contents[kind] = put(contents[kind], offset, spelling["byte_order"] + form, value[1])
    elif what == "byte":
        contents[kind] = put(contents[kind], value[0], "B", value[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {
            name: save(folder, name, content, spelling["ending"] if name == kind else ".nii")
            for name, content in contents.items()
        }
        if what == "cut":
            whole = paths[kind].read_bytes()
            paths[kind].write_bytes(whole[: int(value * len(whole))])
        status, said, error, table = run(paths, folder)
    if status:
        assert status == 1
        assert error.startswith("sct_compute_spinal_levels: error: ")
        assert error.count("\n") == 1
    else:
        assert error == ""
        assert table == right[0] or notes(said) - right[1]
