"""Ways to search that are compared: mixtures of looks and descriptors, scored a few at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.descriptors import l1_distances
from gingham.backbones.table import DESCRIPTORS, FeatureConfig
from gingham.errors import InputError
from gingham.index.descriptor_looks import JOINED, descriptor_looks, typical_distance
from gingham.index.looks import TAUGHT_PREFIX, LookSpace, unit
from gingham.index.sliders import parse_looks
from gingham.names import did_you_mean
from gingham.store.features import FeatureStore, ImageId

Floats = NDArray[np.float32]

BALANCED = "fc+conv:balanced"
_READ = 512


@dataclass(frozen=True)
class Method:
    """One way to search: what it is called, and look or descriptor -> weight."""

    name: str
    weights: Mapping[str, float]


def read_methods(
    descriptors: Sequence[str], mixtures: Sequence[str], space: LookSpace, config: FeatureConfig
) -> list[Method]:
    """Read what is to be compared.

    Parameters
    ----------
    descriptors : `fc`, `conv`, `fc+conv` (joined as they are, the paper's), `fc+conv:balanced`
        (each scaled to the same typical distance), `rgb`.
    mixtures : such as `semantic=1,colour=0.5`, of looks and descriptors.
    space, config : what there is in the catalogue.

    Raises
    ------
    InputError
        If one is not there or comes twice, or a mixture cannot be read or holds a taught look.
    """
    there = descriptor_looks(config)
    methods: dict[str, Method] = {}
    named = {name: {name: 1.0} for name in (*DESCRIPTORS, JOINED)}
    named[BALANCED] = dict.fromkeys(JOINED.split("+"), 1.0)
    found: list[Method] = []
    for name in descriptors:
        if name not in named:
            raise InputError(
                f"unknown descriptor {name!r}; known: {', '.join(named)}{did_you_mean(name, named)}"
            )
        found.append(Method(name, named[name]))
    for mixture in mixtures:
        weights = parse_looks(part.strip() for part in mixture.split(","))
        if taught := [name for name in weights if name.startswith(TAUGHT_PREFIX)]:
            raise InputError(
                f"{mixture}: {taught[0]} is taught from labels, and is not compared here; give "
                f"{', '.join((*space.names, *there))}"
            )
        found.append(Method(mixture.replace(" ", ""), weights))
    for method in found:
        if method.name in methods:
            raise InputError(f"{method.name} is given twice: give it once")
        for name in method.weights:
            if name in (*DESCRIPTORS, JOINED) and name not in there:
                raise InputError(
                    f"{method.name}: the catalogue does not store descriptor {name}; index into "
                    f"a new catalogue with --descriptors {','.join(DESCRIPTORS)}"
                )
        methods[method.name] = Method(method.name, space.check(method.weights, there))
    if not methods:
        raise InputError("nothing to compare: give --descriptors or --looks")
    return list(methods.values())


class Gallery:
    """The vectors of N images, and how alike they look to any of them.

    In memory it holds what the methods need of each image, 4 bytes a number of a look and 2 of a
    descriptor; scores only of the queries asked for.
    """

    def __init__(
        self,
        features: FeatureStore,
        ids: Sequence[ImageId],
        space: LookSpace,
        config: FeatureConfig,
        methods: Iterable[Method],
    ) -> None:
        names = {name for method in methods for name in method.weights}
        joined = descriptor_looks(config)
        self._joined = {name: joined[name] for name in names if name in joined}
        self._looks = [look for look in space.looks if look.name in names]
        self._space = space
        layers = sorted({layer for look in self._looks for layer in look.layers})
        parts: dict[str, list[Floats]] = {look.name: [] for look in self._looks}
        for start in range(0, len(ids) if layers else 0, _READ):
            read = features.get(ids[start : start + _READ], layers)
            for look in self._looks:
                parts[look.name].append(unit(look.embed(read)))
        self._units = {name: np.concatenate(rows) for name, rows in parts.items()}
        kept = sorted({name for looks in self._joined.values() for name in looks})
        self._vectors = features.get(ids, kept) if kept else {}
        self._typical = {
            name: typical_distance(len(ids), rows.__getitem__)
            for name, rows in self._vectors.items()
        }

    def similarities(self, queries: Sequence[int]) -> dict[str, Floats]:
        """Compare some of the images with all, as `Catalogue.search` does.

        Returns
        -------
        look or descriptor -> (B, N) similarity; 1 is the same image.
        """
        found = {
            name: self._space.similarity(name, rows[list(queries)] @ rows.T)
            for name, rows in self._units.items()
        }
        distances = {
            name: np.stack([l1_distances(rows[query], rows) for query in queries])
            for name, rows in self._vectors.items()
        }
        for look, shares in self._joined.items():
            typical = sum(share * self._typical[name] for name, share in shares.items())
            found[look] = np.ones_like(next(iter(distances.values())))
            for name, share in shares.items():
                found[look] -= np.float32(share / typical) * distances[name]
        return found


def mix(method: Method, similarities: Mapping[str, Floats]) -> Floats:
    """Score by a method: the weighted sum of similarities."""
    first, *others = method.weights.items()
    total = np.float32(first[1]) * similarities[first[0]]
    for name, weight in others:
        total += np.float32(weight) * similarities[name]
    return total
