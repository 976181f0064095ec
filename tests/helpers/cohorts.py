"""Level tables of made-up subjects, with the columns that `sct_compute_spinal_levels` writes."""

import json

import numpy as np

from sct_rootlets.correspondence import BIAS_MM
from sct_rootlets.levels import level_name, level_value, paired_levels
from sct_rootlets.output.files import write_table

SHIFTED = [(upper, lower) for pairing, upper, lower in paired_levels() if pairing == "shifted"][: len(BIAS_MM)]
#: Ends of vertebrae C1 to T1.
DISCS_MM = 20 + np.concatenate([[0], np.cumsum((14, 14, 16, 17, 17, 16, 16, 17))])


def level_rows(differences=BIAS_MM, scale=1.0, reference="PMJ", method="extent"):
    """Rows of a table whose shifted pairs differ by so much (mm); everything times a scale."""
    rows = []

    def add(kind, value, rostral, caudal):
        ends = {"rostral_mm": rostral * scale, "caudal_mm": caudal * scale}
        ends |= {"midpoint_mm": (rostral + caudal) / 2 * scale, "length_mm": (caudal - rostral) * scale}
        row = {"level": value, "name": level_name(value, kind), "kind": kind}
        row |= {"method": method if kind == "spinal" else "discs", **ends, "reference": reference, "complete": True}
        rows.append(row)

    for (upper, lower), difference in zip(SHIFTED, differences, strict=True):
        bone = level_value(upper, "vertebral")
        middle = (DISCS_MM[bone - 1] + DISCS_MM[bone]) / 2 - difference
        add("spinal", level_value(lower, "spinal"), middle - 6, middle + 6)
    for value in range(1, 9):
        add("vertebral", value, DISCS_MM[value - 1], DISCS_MM[value])
    return rows


def write_subject(folder, subject, rows, names_from_discs=False, suffix="T2w"):
    """A level table, and a sidecar unless it is None that it says."""
    where = folder / subject / "anat"
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{subject}_{suffix}_levels.csv"
    write_table(path, tuple(rows[0]), rows)
    if names_from_discs is not None:
        sidecar = where / f"{subject}_{suffix}_label-spinalLevels_dseg.json"
        sidecar.write_text(json.dumps({"NamesFromDiscs": names_from_discs}))
    return path


def write_published(folder, subject, rows, year="2025", reference="pmj", stem="T2w"):
    """The two tables of a subject with the names and columns of the published scripts; returns their paths."""
    prefix = {"pmj": "distance_from_pmj", "c2": "distance_from_c2_top"}[reference]
    where = folder / subject / "anat"
    where.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, label in (("spinal", f"{subject}_{stem}_label-rootlets_dseg"), ("vertebral", f"{subject}_{stem}")):
        table = []
        for row in rows:
            if row["kind"] != kind:
                continue
            upper, lower = row["rostral_mm"], row["caudal_mm"]
            common = {"spinal_level": row["level"], "fname": f"{label}.nii.gz"}
            if year == "2026" and kind == "spinal":
                common |= {"slice_start_I-S": 10, "slice_end_I-S": 20, f"{prefix}_start_S-I": upper}
                common |= {f"{prefix}_end_S-I": lower, f"{prefix}_midpoint": (upper + lower) / 2}
            else:
                common |= {"slice_start": 10, "slice_end": 20, f"{prefix}_start": lower, f"{prefix}_end": upper}
            table.append(common | {"height": lower - upper})
        ending = "vertebral_disc" if kind == "vertebral" else "rootlets-only" if year == "2026" else ""
        path = where / f"{label}_{reference}_distance{'_' * bool(ending)}{ending}.csv"
        write_table(path, tuple(table[0]), table)
        paths.append(path)
    return paths


def drawn_differences(n, seed=0, shared_sd=1.8, own_sd=1.2):
    """Differences of n subjects around the published bias, shape (n, 7)."""
    rng = np.random.default_rng(seed)
    return BIAS_MM + shared_sd * rng.standard_normal((n, 1)) + own_sd * rng.standard_normal((n, len(BIAS_MM)))


def write_cohort(folder, n, seed=0):
    """Tables of n subjects; returns their differences, rounded as the tables are."""
    differences = drawn_differences(n, seed).round(3)
    for number, row in enumerate(differences, start=1):
        write_subject(folder, f"sub-{number:02d}", level_rows(row))
    return differences


def write_participants(path, heights):
    """A participants.tsv with heights as they are given, by subject."""
    rows = "".join(f"{subject}\t{30 + i}\tF\t{height}\n" for i, (subject, height) in enumerate(heights.items()))
    path.write_text("participant_id\tage\tsex\theight\n" + rows)
    return path
