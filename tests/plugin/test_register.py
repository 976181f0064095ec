from types import ModuleType

import pytest

from sct_rootlets.plugin import register
from sct_rootlets.segmentation.tasks import TASKS


@pytest.fixture
def theirs():
    module = ModuleType("models")
    module.MODELS = {"theirs": {"thr": None}}
    module.TASKS = {"rootlets": {"models": ["theirs"]}, "spinal_levels": {"models": ["theirs"]}}
    yield module
    register.remove_tasks()


def test_names_that_sct_has_stay_its_own(theirs):
    before = {name: dict(entry) for name, entry in theirs.TASKS.items()}
    register.add_tasks(theirs)
    assert {name: theirs.TASKS[name] for name in before} == before
    assert set(register.added_tasks()) == set(TASKS) - set(before)
    register.remove_tasks()
    assert before == theirs.TASKS
    assert list(theirs.MODELS) == ["theirs"]


def test_every_model_of_a_task_is_a_folder_that_is_there(theirs):
    register.add_tasks(theirs)
    for name in register.added_tasks():
        for model in theirs.TASKS[name]["models"]:
            assert any((theirs.MODELS[model] and register.BUNDLED_FOLDER / model).rglob("*.pth"))
