"""Waits, in every Python of a linked environment, for SCT's tasks to be loaded, and costs next to nothing until then.

The ``.pth`` file that `sct_rootlets.sct.link` writes calls `install` at each start of Python: nothing but `sys` may be
imported here before a module of SCT is.
"""

import sys

TYPE_CHECKING = False  # typing would have to be imported
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: SCT's dictionaries of models and tasks.
MODELS = "spinalcordtoolbox.deepseg.models"
#: SCT's command, where it is imported; where it is run, it loads the former.
SCRIPT = "spinalcordtoolbox.scripts.sct_deepseg"

_warned = False


class Finder:
    """A meta path finder that lets two modules of SCT load as ever, and acts when they have."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Find the two modules; all others are left to the finders that follow."""
        if name not in (MODELS, SCRIPT):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: "ModuleType") -> None:
                load(module)
                extend(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def extend(module: "ModuleType") -> None:
    """Add our tasks to a module of SCT; whatever fails ends in a warning, and SCT goes on without them."""
    try:
        from sct_rootlets.plugin import register, run

        try:
            if module.__name__ == MODELS:
                run.divert_main(module, warn)
                register.add_tasks(module)
            else:
                run.divert(module)
        except Exception:
            register.remove_tasks()
            raise
    except Exception as error:
        warn(error)


def warn(error: Exception) -> None:
    """Say, once a process, that our tasks are missing, and why."""
    global _warned
    if not _warned and sys.stderr is not None:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"sct_rootlets: warning: its tasks were not added to sct_deepseg ({reason})", file=sys.stderr)
    _warned = True


def install() -> None:
    """Begin to wait, once a process."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
