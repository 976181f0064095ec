import sys

import pytest

from sct_rootlets.errors import ModelError
from sct_rootlets.models.requirements import check_classes, import_torch


def test_classes_of_rootlets():
    check_classes({"lvl1": 1, "lvl2": 2}, "ours")
    with pytest.raises(ModelError, match="ours segments lvl3, cord; a model of rootlets has the classes lvl1, lvl2"):
        check_classes({"lvl1": 1, "lvl3": 2, "cord": 3}, "ours")
    with pytest.raises(ModelError, match=r"lvl1, lvl2; .* with the values 1, 2, .* wrong values: lvl1 2, lvl2 1$"):
        check_classes({"lvl1": 2, "lvl2": 1, "lvl3": 3}, "ours")
    with pytest.raises(ModelError, match=r"segments sc; .* classes lvl1, lvl2, \.\.\.$"):
        check_classes({"sc": 1}, "ours")
    with pytest.raises(ModelError, match="ours segments nothing"):
        check_classes({}, "ours")


@pytest.mark.parametrize(
    ("missing", "package"),
    [("torch", "torch"), ("dynamic_network_architectures", "dynamic-network-architectures")],
)
def test_without_torch_the_message_says_what_to_install(monkeypatch, missing, package):
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures", sys)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModelError, match=f"segmenting images needs {package}: python -m pip install {package}$"):
        import_torch()
