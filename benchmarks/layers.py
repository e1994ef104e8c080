"""Which layers speak: rules for weighing them, on the same features, splits and classifier.

Best guesses right where the joined layers are chosen by each rule; without views of the examples
and without a catalogue, whose images tell how often values are. Beside them logistic regression on
the head and on all layers (linear probes).

Usage: layers.py [--seeds 0 1 2] [--counts 5 10 40 0] [--attributes colour texture ...]
    [--rules "gingham" "probe, head" ...]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from finetag import near_duplicates
from gingham.attributes.attribute_fitting import blocks, join
from gingham.attributes.discriminant import blas_threads
from gingham.attributes.few_shot import Exemplars
from gingham.attributes.single_learner import SingleLearner
from gingham.attributes.space import Block, Floats, Rows
from gingham.catalogue import Catalogue
from measure import DATA, machine, rows

CLOTHING = ("neckline", "sleevelength", "category")
EARLY = ("pixels", "stem", "stage1", "stage2", "stage3")
MIDDLE = ("stage3", "stage4", "stage5")
DEEP = ("stage6", "stage7", "head")
Arrays = tuple[NDArray[np.floating], NDArray[np.str_], NDArray[np.str_]]


class ByError(SingleLearner):
    """Weights by each layer's own error alone."""

    def _move(
        self, examples: Exemplars, blocks: Sequence[Block], labels: Rows, weights: Floats
    ) -> tuple[Floats, float]:
        return weights, self.shrinkage


def read(shop: Catalogue, attribute: str) -> Arrays:
    """Give the features, values and groups of an attribute's photos."""
    clothing = attribute in CLOTHING
    folder = DATA / ("clothing_attributes" if clothing else "colour_texture")
    table = rows(f"{folder.name}/{'labels' if clothing else attribute}.csv")
    table = [row for row in table if row[attribute]]
    images = [str(folder / row["image"]) for row in table]
    shop.index(images)
    truth = shop._truth
    features = truth.features.get([truth.locations.files[one] for one in images], truth.layers)
    groups = near_duplicates(images) if clothing else [row["duplicate_group"] for row in table]
    values = np.array([row[attribute] for row in table])
    return join(features, truth.layers).astype(np.float32), values, np.array(groups, dtype=str)


def splits(values: NDArray[np.str_], groups: NDArray[np.str_], count: int, seed: int) -> list[Rows]:
    """Draw examples: so many of each value, or (0) all but one of five parts; give the row sets."""
    if not count:
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        return [train for train, _ in folds.split(values, values, groups)]
    found = []
    for draw in range(2):
        rng = np.random.default_rng([seed, draw, count])
        chosen = [rng.permutation(np.flatnonzero(values == v))[:count] for v in np.unique(values)]
        found.append(np.concatenate(chosen))
    return found


def taught(
    X: NDArray[np.floating], of: tuple[Block, ...], learner: type[SingleLearner], layers: object
) -> Callable[[Rows, Rows, Arrays], float]:
    """Make a rule: a learner and the layers it may choose from."""

    def right(train: Rows, test: Rows, data: Arrays) -> float:
        _, values, groups = data
        one = learner(blocks=of, layers=layers)  # type: ignore[arg-type]
        one.fit(X[train], values[train], groups=groups[train])
        best = one.voter_.vote(X[test], 1).probabilities.argmax(axis=1)
        return float((one.classes_[best] == values[test]).mean())

    return right


def probe(X: NDArray[np.floating]) -> Callable[[Rows, Rows, Arrays], float]:
    """Make a linear probe."""

    def right(train: Rows, test: Rows, data: Arrays) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100))
        return float((model.fit(X[train], data[1][train]).predict(X[test]) == data[1][test]).mean())

    return right


def main(attributes: list[str], counts: list[int], seeds: list[int], wanted: list[str]) -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder, Catalogue.create(Path(folder, "shop")) as shop:
        for attribute in attributes:
            data = X, values, groups = read(shop, attribute)
            of = blocks(shop._truth.config, shop._truth.layers)
            names = [name for name, _, _ in of]
            first, end = next((a, b) for name, a, b in of if name == "head")

            def among(some: tuple[str, ...], names: list[str] = names) -> list[str]:
                return [name for name in names if name.split("_")[0] in some]

            rules = {
                "gingham": taught(X, of, SingleLearner, "auto"),
                "by error": taught(X, of, ByError, "auto"),
                "all": taught(X, of, SingleLearner, names),
                "early": taught(X, of, SingleLearner, among(EARLY)),
                "middle": taught(X, of, SingleLearner, among(MIDDLE)),
                "deep": taught(X, of, SingleLearner, among(DEEP)),
                "probe, head": probe(X[:, first:end]),
                "probe, all": probe(X),
            }
            rules = {name: rule for name, rule in rules.items() if not wanted or name in wanted}
            for count in counts:
                found: dict[str, list[float]] = {name: [] for name in rules}
                for seed in seeds:
                    for train in splits(values, groups, count, seed):
                        test = np.flatnonzero(~np.isin(groups, groups[train]))
                        for name, rule in rules.items():
                            with blas_threads(1):
                                found[name].append(rule(train, test, data))
                what = f"{count} per value" if count else "grouped 5-fold"
                means = ", ".join(f"{name} {np.mean(one):.3f}" for name, one in found.items())
                print(f"{attribute}, {what}: {means}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--counts", type=int, nargs="+", default=[5, 10, 40, 0])
    parser.add_argument("--attributes", nargs="+", default=["colour", "texture", *CLOTHING])
    parser.add_argument("--rules", nargs="+", default=[], help="only these; the names printed")
    given = parser.parse_args()
    main(given.attributes, given.counts, given.seeds, given.rules)
