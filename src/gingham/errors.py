"""One family of errors. A message names the input, what was expected, what came, and what to do."""

from __future__ import annotations


class GinghamError(Exception):
    """Base of every error that gingham raises on purpose."""


class InputError(GinghamError, ValueError):
    """An argument, a table or a name is not what it must be."""


class ShapeError(InputError):
    """An array has the wrong shape."""

    def __init__(self, name: str, *, expected: str, got: object) -> None:
        super().__init__(f"{name} must have shape {expected}, got {got}")


class ImageError(GinghamError, ValueError):
    """One image cannot be read; a run records the reason and goes on."""


class CatalogueError(GinghamError, RuntimeError):
    """A catalogue is missing, damaged, or was made with other settings."""


class CatalogueBusyError(CatalogueError):
    """Another process holds the catalogue open."""


class BackboneError(GinghamError, RuntimeError):
    """A backbone is unknown, its weights cannot be found or do not fit."""


class MissingExtraError(GinghamError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'gingham[{extra}]'")
