import numpy as np

from sct_rootlets.correspondence import BIAS_MM
from sct_rootlets.synthesis.cervical import cervical_anatomy, cohort_anatomy


def test_the_anatomy_has_the_published_bias():
    anatomy = cervical_anatomy()
    attachment = {name: np.mean(ends) for name, ends in anatomy.spinal_extents(0).items()}
    middle = {value: (anatomy.discs[value] + anatomy.discs[value + 1]) / 2 for value in range(2, 9)}
    bias = [middle[vertebra] - attachment[name] for vertebra, name in ((2, "C3"), (7, "C8"), (8, "T1"))]
    np.testing.assert_allclose(bias, [0.0, 5.4, 8.15], atol=0.01)


def test_anatomies_of_a_cohort_have_the_published_bias_on_average():
    """Of the stretches within 2.4 mm of the cord; 30 of them, each level with its own 1.7 mm."""
    rng = np.random.default_rng(2)
    bias, heights, sizes = [], [], []
    for _ in range(30):
        anatomy, height = cohort_anatomy(rng)
        middle = {name: np.mean(ends) for name, ends in anatomy.spinal_extents(2.4).items()}
        discs = anatomy.discs
        pairs = zip(range(2, 9), ("C3", "C4", "C5", "C6", "C7", "C8", "T1"), strict=True)
        bias.append([(discs[vertebra] + discs[vertebra + 1]) / 2 - middle[name] for vertebra, name in pairs])
        heights.append(height)
        sizes.append(discs[9] - discs[1])
    np.testing.assert_allclose(np.mean(bias, axis=0), BIAS_MM, atol=4 * 1.7 / np.sqrt(30))
    assert np.std(bias, axis=0).min() > 1
    assert np.corrcoef(heights, sizes)[0, 1] > 0.8


def test_the_course_has_unit_speed():
    line = cervical_anatomy(bend_deg=30, sway_mm=4).centerline
    np.testing.assert_allclose(np.linalg.norm(np.diff(line.points, axis=0), axis=1), np.diff(line.arc), rtol=1e-9)
