"""Curation: from a messy table of images and labels to a clean one, with all that was done to it.

    from gingham.curation import CurationConfig, curate
    curate("products.csv", "curated", CurationConfig(seed=1))

The stages, in order: `invalid`, `duplicates`, `pictures`, `values`, `unknown`, `label_errors`,
`split`, `balance`; each is a module but the first, which is in `pictures`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
