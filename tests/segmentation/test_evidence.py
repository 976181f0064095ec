import numpy as np

from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import ABOVE_C2, BELOW_T1, FIRST_NAMED, LAST_NAMED
from sct_rootlets.segmentation.evidence import evidence_from_discs


def test_discs_tell_where_levels_are_expected():
    discs = {value: 15.0 * value for value in range(1, 11)}
    arc = np.arange(150) + 0.5
    names = evidence_from_discs(arc, discs).log_probability
    np.testing.assert_allclose(np.exp(names[:, ABOVE_C2:]).sum(axis=1), 1)
    for value, middle in spinal_middles(discs).items():
        assert names[int(middle)].argmax() == value
    few = evidence_from_discs(arc, {value: discs[value] for value in (5, 6)}).log_probability
    np.testing.assert_allclose(few[30:120].argmax(axis=1), names[30:120].argmax(axis=1))
    assert (names[:20].argmax(axis=1) <= FIRST_NAMED).all()
    assert names[-1].argmax() == BELOW_T1 > LAST_NAMED
