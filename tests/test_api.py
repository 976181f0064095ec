import subprocess
import sys

import pytest

import sct_rootlets


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_every_public_name_can_be_had():
    for name in sct_rootlets.__all__:
        assert getattr(sct_rootlets, name) is not None
    assert dir(sct_rootlets) == sct_rootlets.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sct_rootlets.nothing


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("torch", "pandas", "matplotlib", "nibabel", "scipy", "skimage", "numpy", "spinalcordtoolbox")
    done = run_python(f"import sys, sct_rootlets; print([name for name in {heavy} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_levels_are_computed_without_torch_and_sct():
    block = "import sys; sys.modules.update(dict.fromkeys(('torch', 'spinalcordtoolbox', 'ants')));"
    done = run_python(f"{block} from sct_rootlets import compute_spinal_levels; print(compute_spinal_levels.__name__)")
    assert done.stdout.strip() == "compute_spinal_levels", done.stderr


def test_docstring_examples():
    import doctest

    from sct_rootlets import bids, levels

    for module in (levels, bids):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0
