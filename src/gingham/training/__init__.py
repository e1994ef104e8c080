"""Networks trained where labels are plentiful: attributes together, FineTag, and what comes of it.

    from gingham.training import TrainConfig, TrainedModel, train
    train("labels.csv", "model", TrainConfig.read("train.toml"))
    TrainedModel.load("model")

References
----------
Raha, *Image Attribute Extraction*, Rakuten (2021): many attributes in one network. Zakizadeh et
al., *FineTag*, arXiv:1806.07124: bilinear pooling and the ranking loss.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
