"""The exception family: everything a caller may want to catch is a :class:`CasaposeError`.

Each message names what was received, what was expected and what to do about it.
"""


class CasaposeError(ValueError):
    """Base of all errors raised for bad input."""


class ConfigError(CasaposeError):
    """A settings file or option is wrong: unknown key, wrong type, value out of range."""


class CameraError(CasaposeError):
    """A camera model is missing, unusable or does not fit the image."""


class ImageError(CasaposeError):
    """An image is malformed: wrong shape, type, size or encoding."""


class MeshError(CasaposeError):
    """A mesh cannot be used: no faces, NaN vertices, wrong units."""


class BundleError(CasaposeError):
    """A model bundle is missing, corrupt or does not fit the network."""


class WeightsError(BundleError):
    """Weights do not fit the network: other K, other variant, NaN, wrong shape."""


class DatasetError(CasaposeError):
    """A data set folder is missing files or contradicts itself."""


class RenderError(CasaposeError):
    """The renderer cannot start or cannot draw what was asked."""


class OutputError(CasaposeError):
    """Results cannot be written: no permission, no such folder, disk full."""
