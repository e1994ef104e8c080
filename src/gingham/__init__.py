"""Teach it an attribute with ten pictures; it tags, searches and explains your whole catalogue."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gingham.attributes import AttributeClassifier as AttributeClassifier
    from gingham.backbones import BACKBONES as BACKBONES
    from gingham.catalogue import Catalogue as Catalogue
    from gingham.descriptors import significant_activations as significant_activations
    from gingham.errors import BackboneError as BackboneError
    from gingham.errors import CatalogueBusyError as CatalogueBusyError
    from gingham.errors import CatalogueError as CatalogueError
    from gingham.errors import GinghamError as GinghamError
    from gingham.errors import ImageError as ImageError
    from gingham.errors import InputError as InputError
    from gingham.images import load_image as load_image
    from gingham.multi import MultiAttributeClassifier as MultiAttributeClassifier
    from gingham.retrieval import evaluate_retrieval as evaluate_retrieval
    from gingham.runtime import load_runtime as load_runtime
    from gingham.sheet import write_contact_sheet as write_contact_sheet

__version__ = "0.1.0"

# Where each public name lives; imported when it is first asked for, so that `import gingham`
# loads neither torch nor OpenVINO.
_HOMES = {
    "AttributeClassifier": "attributes",
    "MultiAttributeClassifier": "multi",
    "BACKBONES": "backbones",
    "Catalogue": "catalogue",
    "BackboneError": "errors",
    "CatalogueBusyError": "errors",
    "CatalogueError": "errors",
    "GinghamError": "errors",
    "ImageError": "errors",
    "InputError": "errors",
    "evaluate_retrieval": "retrieval",
    "load_image": "images",
    "load_runtime": "runtime",
    "significant_activations": "descriptors",
    "write_contact_sheet": "sheet",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gingham' has no attribute {name!r}")
    return getattr(import_module(f"gingham.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
