"""Teach it an attribute with ten pictures; it tags, searches and explains your whole catalogue."""

from importlib.util import find_spec

import lazy_loader

# A public name is imported when it is first asked for, so that `import gingham` loads neither torch
# nor OpenVINO. The names, and where each lives, are in `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
if find_spec("sklearn") is None:
    # `from gingham import *` asks for every name; asked for by name, these say what to install.
    _NEED_IT = ("AttributeClassifier", "ImageFeatures", "StudyResult", "study")
    __all__ = [name for name in __all__ if not name.endswith(_NEED_IT)]
__version__ = "0.1.0"
