"""A phantom's levels as a scan on the page."""

import pytest

from sct_rootlets import compute_spinal_levels
from sct_rootlets.report.page.scan import Scan, scan_of_subject


@pytest.fixture(scope="session")
def page_scan(phantom) -> Scan:
    return scan_of_subject(
        compute_spinal_levels(
            phantom.rootlets,
            cord=phantom.cord,
            discs=phantom.discs,
            pmj=phantom.pmj,
            image=phantom.image,
            method="extent",
        )
    )
