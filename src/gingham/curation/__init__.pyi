from .config import CurationConfig as CurationConfig
from .result import CurationResult as CurationResult
from .run import curate as curate
