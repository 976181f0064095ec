import pytest

from sct_rootlets.correspondence import Reference, choose_reference, correspond, published_rows
from sct_rootlets.levels import Level, Levels
from sct_rootlets.vertebral import Disc


def level(value, kind, rostral, caudal, sd=0.3):
    return Level(value, kind, rostral, caudal, sd, sd)


SPINAL = Levels("spinal", "extent", tuple(level(value, "spinal", 10 * value, 10 * value + 8) for value in (3, 4, 8, 9)))
VERTEBRAL = Levels("vertebral", "discs", tuple(level(v, "vertebral", 10 * v + 5, 10 * v + 15) for v in (2, 3, 4, 8)))


def test_pairs_are_made_by_name_and_missing_levels_shift_nothing():
    pairs = {(pair.pairing, pair.name): pair.difference_mm for pair in correspond(SPINAL, VERTEBRAL)}
    assert pairs == {
        # vertebra k has its middle at 10 k + 10, spinal value k at 10 k + 4
        ("same-name", "C3-C3"): 6,
        ("same-name", "C4-C4"): 6,
        ("same-name", "T1-T1"): 90 - 94,
        ("shifted", "C2-C3"): -4,
        ("shifted", "C3-C4"): -4,
        ("shifted", "T1-T1"): -4,
    }


def test_uncertainty_of_a_difference():
    # Each midpoint is the mean of two independent ends: sd / sqrt(2); their difference: sd.
    assert correspond(SPINAL, VERTEBRAL)[0].difference_sd_mm == pytest.approx(0.3)


def test_reference_is_the_pmj_else_disc_c2_c3_else_the_top():
    discs = [Disc(2, 5.0, 0.3), Disc(3, 20.0, 0.3)]
    assert choose_reference(-30.0, discs) == Reference("PMJ", -30.0)
    assert choose_reference(None, discs) == Reference("disc C2/C3", 20.0)
    assert choose_reference(None, discs[:1]) == Reference("cord top", 0.0)


def test_reference_of_the_lower_cord_is_the_conus_else_disc_t12_l1():
    discs = [Disc(19, 5.0, 0.3), Disc(20, 30.0, 0.3)]
    assert choose_reference(None, discs, 42.0) == Reference("conus", 42.0)
    assert choose_reference(None, discs) == Reference("disc T12/L1", 30.0)
    assert choose_reference(None, [Disc(3, 1.0, 0.3), *discs], 42.0) == Reference("disc C2/C3", 1.0)


def test_published_columns():
    row = {"level": 3, "slice_start": 40, "slice_end": 52, "rostral_mm": 20.0, "caudal_mm": 33.0, "length_mm": 13.0}
    assert published_rows([row], "t2_rootlets.nii.gz") == [
        {
            "spinal_level": 3,
            "fname": "t2_rootlets.nii.gz",
            "slice_start": 40,
            "slice_end": 52,
            "distance_from_pmj_start": 33.0,
            "distance_from_pmj_end": 20.0,
            "height": 13.0,
        }
    ]
