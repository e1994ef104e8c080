"""The public names and where each lives; `__init__.py` imports one when it is first asked for."""

from .attributes.estimators import AttributeClassifier as AttributeClassifier
from .attributes.estimators import MultiAttributeClassifier as MultiAttributeClassifier
from .attributes.image_features import ImageFeatures as ImageFeatures
from .backbones.descriptors import significant_activations as significant_activations
from .backbones.runtime import load_runtime as load_runtime
from .backbones.table import BACKBONES as BACKBONES
from .catalogue import Catalogue as Catalogue
from .client.remote import RemoteCatalogue as RemoteCatalogue
from .client.remote import connect as connect
from .curation.result import CurationResult as CurationResult
from .curation.run import curate as curate
from .errors import BackboneError as BackboneError
from .errors import CatalogueBusyError as CatalogueBusyError
from .errors import CatalogueError as CatalogueError
from .errors import GinghamError as GinghamError
from .errors import ImageError as ImageError
from .errors import InputError as InputError
from .errors import ServerError as ServerError
from .evaluation.retrieval import evaluate_retrieval as evaluate_retrieval
from .evaluation.study.run import StudyResult as StudyResult
from .evaluation.study.run import study as study
from .explaining.explanation import Explanation as Explanation
from .explaining.explanation import ImageExplanations as ImageExplanations
from .images import load_image as load_image
from .options import ReadOptions as ReadOptions
from .report.sheet import write_contact_sheet as write_contact_sheet
from .results import Facets as Facets
from .results import Hit as Hit
from .results import ImagePredictions as ImagePredictions
from .results import IndexResult as IndexResult
from .results import Prediction as Prediction
from .results import TagResult as TagResult
from .results import TeachResult as TeachResult
from .training.run import train as train
from .training.trained import TrainedModel as TrainedModel

__version__: str
