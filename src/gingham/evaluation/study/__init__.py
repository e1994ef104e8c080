"""The layer study: which hidden layer sees what. Each experiment is a function on arrays, too.

    from gingham.evaluation.study import knn_accuracy, make_folds
    knn_accuracy(X, y, make_folds(y)).mean

`study` runs them all on folders and tables of examples, and writes a report.

References
----------
Baloian, Murrugarra-Llerena, Saavedra, *Scalable Visual Attribute Extraction through Hidden Layers
of a Residual ConvNet* (2021): Table 1 `knn_accuracy`, Figures 2 and 3 `cluster_agreement`, Figures
4 and 5 `umap_map`, Table 2 `reduced_accuracy`, Figure 6 `value_agreement` and `most_alike`.
"""

import lazy_loader

from gingham.errors import require_extra

require_extra("study", "sklearn")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
