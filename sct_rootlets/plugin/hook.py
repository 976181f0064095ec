"""The import hook that adds our tasks when the Spinal Cord Toolbox (SCT) loads its own.

The ``.pth`` file that `sct_rootlets.sct.link` writes calls `install` at each start of Python in a linked environment.
Starting must stay fast: before a module of SCT is imported, nothing but `sys` may be imported here.
"""

import sys

TYPE_CHECKING = False  # without importing typing
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: Module of SCT with its dictionaries of models and tasks.
MODELS_MODULE = "spinalcordtoolbox.deepseg.models"
#: Module of SCT's command, if it is imported; if it is run as a script, it imports `MODELS_MODULE`.
SCRIPT_MODULE = "spinalcordtoolbox.scripts.sct_deepseg"

_warned = False


class Finder:
    """A meta path finder that lets two modules of SCT load unchanged, and extends them afterwards."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Find the two modules; leave all others to the next finders."""
        if name not in (MODELS_MODULE, SCRIPT_MODULE):
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
    """Add our tasks to a module of SCT; any failure becomes a warning, and SCT goes on without our tasks."""
    try:
        from sct_rootlets.plugin import register, run

        try:
            if module.__name__ == MODELS_MODULE:
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
    """Print, once a process, that our tasks are missing, and why."""
    global _warned
    if not _warned and sys.stderr is not None:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"sct_rootlets: warning: its tasks were not added to sct_deepseg ({reason})", file=sys.stderr)
    _warned = True


def install() -> None:
    """Put the finder first among the finders, once a process."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
