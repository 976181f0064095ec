"""Spinal levels from nerve rootlets on spinal cord MRI: the public API, loaded when it is first used."""

TYPE_CHECKING = False  # typing.TYPE_CHECKING; typing takes longer to load than a linked environment may lose
if TYPE_CHECKING:  # what type checkers and editors see; at run time __getattr__ does it
    from sct_rootlets.deepseg import compute_spinal_levels, segment_rootlets
    from sct_rootlets.deepseg import register_image as register
    from sct_rootlets.errors import SctRootletsError
    from sct_rootlets.evaluation.raters import evaluate_raters
    from sct_rootlets.evaluation.references import evaluate_files
    from sct_rootlets.evaluation.repeats import evaluate_repeats
    from sct_rootlets.group.compare import group_levels
    from sct_rootlets.nifti import load_volume
    from sct_rootlets.output.evaluation import save_evaluation
    from sct_rootlets.output.group import save_group
    from sct_rootlets.output.levels import save_levels
    from sct_rootlets.output.registration import save_registration
    from sct_rootlets.report.levels import levels_figure
    from sct_rootlets.report.registration import registration_figure

_HOME = {
    "SctRootletsError": ("errors", "SctRootletsError"),
    "compute_spinal_levels": ("deepseg", "compute_spinal_levels"),
    "evaluate_files": ("evaluation.references", "evaluate_files"),
    "evaluate_raters": ("evaluation.raters", "evaluate_raters"),
    "evaluate_repeats": ("evaluation.repeats", "evaluate_repeats"),
    "group_levels": ("group.compare", "group_levels"),
    "levels_figure": ("report.levels", "levels_figure"),
    "load_volume": ("nifti", "load_volume"),
    "register": ("deepseg", "register_image"),
    "registration_figure": ("report.registration", "registration_figure"),
    "save_evaluation": ("output.evaluation", "save_evaluation"),
    "save_group": ("output.group", "save_group"),
    "save_levels": ("output.levels", "save_levels"),
    "save_registration": ("output.registration", "save_registration"),
    "segment_rootlets": ("deepseg", "segment_rootlets"),
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name in _HOME:
        import importlib

        module, attribute = _HOME[name]
        return getattr(importlib.import_module(f"sct_rootlets.{module}"), attribute)
    if name == "__version__":
        from sct_rootlets.distribution import version

        return version()
    raise AttributeError(f"module 'sct_rootlets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
