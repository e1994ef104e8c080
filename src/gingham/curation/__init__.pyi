from .config import CurationConfig as CurationConfig
from .run import CurationResult as CurationResult
from .run import curate as curate
