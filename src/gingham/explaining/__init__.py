"""Explanations: why a picture got a value, where in it, and by which examples.

`Catalogue.explain` gives them; `ExplanationPage` writes them as pictures and a page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
