"""The exceptions of the package: one family, every message one line that says what is wrong and what to do."""


class SctRootletsError(Exception):
    """Base of every error the package raises on purpose; commands print it as one line and exit 1."""


class ImageError(SctRootletsError):
    """A file or volume cannot be read, written, or compared with another one."""


class NoCordError(ImageError):
    """An image shows no spinal cord."""


class LabelError(SctRootletsError):
    """A readable volume holds labels that do not make sense (values, order, position, number)."""


class ModelError(SctRootletsError):
    """A model folder is incomplete, damaged, or of a kind that cannot be run."""


class LinkError(SctRootletsError):
    """There is no Spinal Cord Toolbox to add to, or it cannot be added to."""


class DatasetError(SctRootletsError):
    """Scans, tables, raters or groups are missing, do not belong together, or are too few for what is asked."""
