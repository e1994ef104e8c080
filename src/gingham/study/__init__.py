"""The layer study: which hidden layer sees what. Each experiment is a function on arrays, too.

    from gingham.study import knn_accuracy, make_folds
    knn_accuracy(X, y, make_folds(y)).mean

`study` runs them all on folders and tables of examples, and writes a report.

References
----------
Baloian, Murrugarra-Llerena, Saavedra, *Scalable Visual Attribute Extraction through Hidden Layers
of a Residual ConvNet* (2021): Table 1 `knn_accuracy`, Figures 2 and 3 `cluster_agreement`, Figures
4 and 5 `umap_map`, Table 2 `reduced_accuracy`, Figure 6 `value_agreement` and `most_alike`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gingham.study.accuracy import Accuracy as Accuracy
    from gingham.study.accuracy import knn_accuracy as knn_accuracy
    from gingham.study.accuracy import make_folds as make_folds
    from gingham.study.accuracy import mcnemar as mcnemar
    from gingham.study.accuracy import no_worse as no_worse
    from gingham.study.accuracy import taught_accuracy as taught_accuracy
    from gingham.study.bench import Setting as Setting
    from gingham.study.clustering import ClusterParameters as ClusterParameters
    from gingham.study.clustering import cluster_agreement as cluster_agreement
    from gingham.study.clustering import fitting_parameters as fitting_parameters
    from gingham.study.confusion import confused_pairs as confused_pairs
    from gingham.study.confusion import confusions as confusions
    from gingham.study.confusion import suspects as suspects
    from gingham.study.cost import choose_layer as choose_layer
    from gingham.study.cost import layer_costs as layer_costs
    from gingham.study.options import print_study as print_study
    from gingham.study.options import split_weights as split_weights
    from gingham.study.reduction import neighbours_per_second as neighbours_per_second
    from gingham.study.reduction import reduced_accuracy as reduced_accuracy
    from gingham.study.reduction import umap_map as umap_map
    from gingham.study.retrieval import look_vectors as look_vectors
    from gingham.study.retrieval import most_alike as most_alike
    from gingham.study.retrieval import value_agreement as value_agreement
    from gingham.study.run import StudyResult as StudyResult
    from gingham.study.run import study as study

_HOMES = {
    "Accuracy": "accuracy",
    "knn_accuracy": "accuracy",
    "make_folds": "accuracy",
    "mcnemar": "accuracy",
    "no_worse": "accuracy",
    "taught_accuracy": "accuracy",
    "Setting": "bench",
    "ClusterParameters": "clustering",
    "cluster_agreement": "clustering",
    "fitting_parameters": "clustering",
    "confused_pairs": "confusion",
    "confusions": "confusion",
    "suspects": "confusion",
    "choose_layer": "cost",
    "layer_costs": "cost",
    "neighbours_per_second": "reduction",
    "reduced_accuracy": "reduction",
    "umap_map": "reduction",
    "look_vectors": "retrieval",
    "most_alike": "retrieval",
    "value_agreement": "retrieval",
    "print_study": "options",
    "split_weights": "options",
    "StudyResult": "run",
    "study": "run",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gingham.study' has no attribute {name!r}")
    return getattr(import_module(f"gingham.study.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
