"""The value that a registration returns: what it shows, and where it maps points."""

from dataclasses import replace

import numpy as np


def test_it_shows_a_small_table_of_landmarks(drifted_registration):
    shown = repr(drifted_registration)
    heading, columns, *rows = shown.splitlines()
    assert heading.startswith("Registration of ")
    assert heading.endswith("landmarks used: 8")
    assert columns.split() == ["name", "subject", "(mm)", "error", "(mm)"]
    assert len(rows) == len(drifted_registration.rows)
    c5 = next(row for row in drifted_registration.rows if row["name"] == "C5")
    assert ["C5", f"{c5['subject_mm']:.1f}", "+0.0"] in [row.split() for row in rows]
    assert "array" not in shown


def test_notebooks_show_the_same_table(drifted_registration):
    shown = replace(drifted_registration, image=replace(drifted_registration.image, name="a<b"))._repr_html_()
    assert shown.startswith("<p>Registration of a&lt;b to ")
    assert shown.count("<tr") == 1 + len(drifted_registration.rows)


def test_fields_of_another_program_take_the_place_of_the_warp(drifted_registration):
    shapes = drifted_registration.template_mask.data.shape, drifted_registration.image.data.shape
    fields = [np.broadcast_to(np.array([1.0, 2.0, 3.0]), (*shape, 3)) for shape in shapes]
    external = replace(drifted_registration, external_fields=(fields[0], fields[1]))
    assert external.warp_anat2template is fields[0]
    assert external.warp_template2anat is fields[1]
    np.testing.assert_allclose(external.map_to_subject(np.zeros((1, 3))), [[1, 2, 3]])
