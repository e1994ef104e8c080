"""The public names and where each lives; `__init__.py` imports one when it is first asked for."""

from .attributes import AttributeClassifier as AttributeClassifier
from .backbones import BACKBONES as BACKBONES
from .catalogue import Catalogue as Catalogue
from .descriptors import significant_activations as significant_activations
from .errors import BackboneError as BackboneError
from .errors import CatalogueBusyError as CatalogueBusyError
from .errors import CatalogueError as CatalogueError
from .errors import GinghamError as GinghamError
from .errors import ImageError as ImageError
from .errors import InputError as InputError
from .images import load_image as load_image
from .multi import MultiAttributeClassifier as MultiAttributeClassifier
from .retrieval import evaluate_retrieval as evaluate_retrieval
from .runtime import load_runtime as load_runtime
from .sheet import write_contact_sheet as write_contact_sheet

__version__: str
