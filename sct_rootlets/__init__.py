"""Spinal levels from nerve rootlets on spinal cord MRI. The public API, loaded when it is first used."""

TYPE_CHECKING = False  # typing.TYPE_CHECKING; typing takes longer to load than a linked environment may lose
if TYPE_CHECKING:  # what type checkers and editors see; at run time __getattr__ does it
    from sct_rootlets.centerline import Centerline, fit_centerline
    from sct_rootlets.correspondence import correspond
    from sct_rootlets.deepseg import levels_of_image, segment_rootlets
    from sct_rootlets.errors import DatasetError, ImageError, LabelError, ModelError, SctRootletsError
    from sct_rootlets.evaluation.raters import evaluate_raters
    from sct_rootlets.evaluation.references import evaluate_files
    from sct_rootlets.evaluation.repeats import evaluate_repeats
    from sct_rootlets.group.compare import GroupLevels, group_levels
    from sct_rootlets.image import Volume
    from sct_rootlets.levels import Level, Levels, level_color, level_name, level_value
    from sct_rootlets.nifti import load_volume
    from sct_rootlets.registration.to_template import Registration, register
    from sct_rootlets.spinal import spinal_levels
    from sct_rootlets.subject import SubjectLevels, compute_spinal_levels
    from sct_rootlets.vertebral import place_discs, vertebral_levels

_HOME = {
    "Centerline": "centerline",
    "DatasetError": "errors",
    "GroupLevels": "group.compare",
    "ImageError": "errors",
    "LabelError": "errors",
    "Level": "levels",
    "Levels": "levels",
    "ModelError": "errors",
    "Registration": "registration.to_template",
    "SctRootletsError": "errors",
    "SubjectLevels": "subject",
    "Volume": "image",
    "compute_spinal_levels": "subject",
    "correspond": "correspondence",
    "evaluate_files": "evaluation.references",
    "evaluate_raters": "evaluation.raters",
    "evaluate_repeats": "evaluation.repeats",
    "fit_centerline": "centerline",
    "group_levels": "group.compare",
    "level_color": "levels",
    "level_name": "levels",
    "level_value": "levels",
    "levels_of_image": "deepseg",
    "load_volume": "image",
    "place_discs": "vertebral",
    "register": "registration.to_template",
    "segment_rootlets": "deepseg",
    "spinal_levels": "spinal",
    "vertebral_levels": "vertebral",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"sct_rootlets.{_HOME[name]}"), name)
    raise AttributeError(f"module 'sct_rootlets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
