"""The family of errors. A message names the input, what was expected, what came, what to do."""

from __future__ import annotations

from importlib.util import find_spec


class GinghamError(Exception):
    """Base of every error that gingham raises on purpose."""


class InputError(GinghamError, ValueError):
    """An argument, a table or a name is invalid."""


class ShapeError(InputError):
    """An array has the wrong shape."""

    def __init__(self, name: str, *, expected: str, got: object) -> None:
        super().__init__(f"{name} must have shape {expected}, got {got}")


class ImageError(GinghamError, ValueError):
    """One image cannot be read; a run records the reason and continues."""


class CatalogueError(GinghamError, RuntimeError):
    """A catalogue is missing, damaged, or was made with other settings."""


class CatalogueBusyError(CatalogueError):
    """Another process holds the catalogue open."""


class BackboneError(GinghamError, RuntimeError):
    """A backbone is unknown, or its weights are missing or do not fit."""


class MissingExtraError(GinghamError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, *, extra: str, purpose: str = "") -> None:
        missing = f"{purpose} needs {package}, which is" if purpose else f"{package} is"
        super().__init__(f"{missing} not installed; run: pip install 'gingham[{extra}]'")


_PACKAGES = {
    "faiss": "faiss-cpu",
    "pytorch_grad_cam": "grad-cam",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
}


def require_extra(extra: str, *modules: str, purpose: str = "") -> None:
    """Check that the modules of an extra can be imported, without importing them.

    Parameters
    ----------
    extra : as in `pip install 'gingham[extra]'`.
    modules : top-level names.
    purpose : what needs them, for the message; it ends before "needs".

    Raises
    ------
    MissingExtraError
        If one is missing.
    """
    for module in modules:
        if find_spec(module) is None:
            package = _PACKAGES.get(module, module)
            raise MissingExtraError(package, extra=extra, purpose=purpose)
