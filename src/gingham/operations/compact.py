"""Few large shards of features in place of many small ones, without those of removed images."""

from __future__ import annotations

import numpy as np

from gingham.attributes.attribute_fitting import ALL_VIEWS, view_id
from gingham.attributes.registry import Attributes
from gingham.store import ids as many
from gingham.store.truth import Truth
from gingham.upkeep_results import CompactResult


def compact(truth: Truth, attributes: Attributes) -> tuple[CompactResult, bool]:
    """Compact the truth; see `Catalogue.compact`.

    Returns
    -------
    What was done, and whether anything was deleted that files of the index may still hold.
    """
    before = truth.size
    examples = [one.id for taught in truth.log.read().values() for one in taught.examples]
    kept = np.concatenate([truth.locations.ids(), many.from_list(examples)])
    views = [view_id(example, view) for example in examples for view in ALL_VIEWS]
    # What is derived of removed images first: once their features are gone, all of it is.
    if not many.are_in(kept, truth.features.ids()).all():
        attributes.drop_removed()
    features = truth.features.compact(kept)
    viewed = truth.views.compact(many.from_list(views))
    truth.objects.compact()
    texts = truth.text.compact(truth.locations.ids())
    result = CompactResult(
        shards_before=features.before + viewed.before + texts.before,
        shards=features.after + viewed.after + texts.after,
        dropped=features.dropped,
        uploads=truth.uploads.sweep(truth.locations.files),
        bytes_before=before,
        bytes=truth.size,
    )
    # Of a removed image that is an example only what words are compared with goes.
    return result, bool(features.dropped or texts.dropped)
