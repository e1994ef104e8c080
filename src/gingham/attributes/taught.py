"""One attribute as it was taught: fitted on its examples, saved, and asked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.attribute import PROJECTION, Features, HeatMap, Picture, TagBatch
from gingham.attributes.cutoffs import HeldOutAnswers, cut_off
from gingham.attributes.fitted_voters import MultiVoter, MultiVotes, SingleVoter, Votes
from gingham.attributes.influence import add_up, position_influence, value_direction
from gingham.backbones.runtime import MapRuntime, Runtime
from gingham.backbones.table import FOREGROUND, FeatureConfig
from gingham.cutoff import Cutoff, CutoffResult
from gingham.errors import CatalogueError, InputError
from gingham.results import Contradiction, Evidence, Prediction, Verdict
from gingham.store.examples import Taught
from gingham.store.files import replacing

VERSION = 12
"""Recipe version; bump to force refitting."""


@dataclass(frozen=True)
class TaughtAttribute:
    """An attribute ready to predict.

    Attributes
    ----------
    name, kind : as taught.
    stamp : differs whenever the examples, the layers asked for or the features' making differ.
    voter : what answers.
    rows : the example behind each row that it was fitted on: (file, its values).
    count : images it was taught with.
    verdict : how good it is.
    checked : what its held-out examples were answered.
    contradictions : pairs of examples to look at; None of one that an earlier version fitted.
    """

    name: str
    kind: str
    stamp: str
    voter: SingleVoter | MultiVoter
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    count: int
    verdict: Verdict
    checked: HeldOutAnswers
    contradictions: tuple[Contradiction, ...] | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The hidden layers it reads."""
        return self.voter.layers

    @property
    def needs(self) -> Literal["features"]:
        """It answers from features that the catalogue keeps."""
        return "features"

    @property
    def reader(self) -> None:
        """The catalogue reads for it."""

    @property
    def method(self) -> str:
        """Its own projection explains it."""
        return PROJECTION

    @property
    def values(self) -> tuple[str, ...]:
        """The values it tells apart."""
        return tuple(str(value) for value in self.voter.classes)

    def project(self, features: Features) -> NDArray[np.float32]:
        """Map layer -> (N, 2C) to the look `attribute:NAME`: (N, d) float32 unit rows."""
        return self.voter.look(features).astype(np.float32)

    def tags(self, features: Features) -> TagBatch:
        """Answer for N images."""
        votes = self.voter.vote(features, k_evidence=1)
        unknown, guesses = self._guesses(votes)
        return TagBatch(
            [[] if far else guess for guess, far in zip(guesses, unknown, strict=True)],
            votes.confidence,
            [guess if far else [] for guess, far in zip(guesses, unknown, strict=True)],
            votes.looks,
            votes.probabilities if isinstance(votes, Votes) else None,
        )

    def _guesses(self, votes: Votes | MultiVotes) -> tuple[list[bool], list[list[str]]]:
        """Say which images are unknown, and list the likeliest values of each."""
        names = self.values
        if isinstance(votes, Votes):
            best = votes.probabilities.argmax(axis=1).tolist()
            return (votes.value < 0).tolist(), [[names[v]] for v in best]
        present = [[names[v] for v in np.flatnonzero(row)] for row in votes.present]
        return votes.unknown.tolist(), present

    def answer(self, features: Features, *, evidence: int = 5) -> list[Prediction]:
        """Answer for N images, with probabilities and the nearest examples."""
        votes = self.voter.vote(features, k_evidence=evidence)
        multi = self.kind == "multi"
        predictions = []
        for row, (unknown, guess) in enumerate(zip(*self._guesses(votes), strict=True)):
            shown = []
            for example, distance in zip(votes.evidence[row], votes.distance[row], strict=True):
                image, said = self.rows[example]
                shown.append(Evidence(image, list(said) if multi else said[0], float(distance)))
            order = np.argsort(-votes.probabilities[row], kind="stable")
            predictions.append(
                Prediction.of(
                    guess if multi else guess[0],
                    float(votes.confidence[row]),
                    {self.values[v]: float(votes.probabilities[row, v]) for v in order},
                    tuple(shown),
                    unknown=unknown,
                )
            )
        return predictions

    def cut_off(self, cutoff: Cutoff) -> CutoffResult:
        """Say how sure its answers must be, by its held-out examples."""
        return cut_off(self.name, self.kind, self.values, cutoff, self.checked)

    def mapped_layers(self) -> tuple[str, ...]:
        """The hidden layers of its projection: not those that only tell what is unknown."""
        blocks = self.voter.projection.space.blocks
        return tuple(dict.fromkeys(layer.removesuffix(FOREGROUND) for layer, _, _ in blocks))

    def check_explainable(self, runtime: Runtime) -> None:
        """See `Attribute.check_explainable`."""
        if not isinstance(runtime, MapRuntime):
            raise InputError(
                f"the runtime of backbone {runtime.config.backbone!r} gives features but no maps: "
                "it cannot show where in an image a value is found"
            )

    def explain(self, picture: Picture, features: Features, values: Sequence[str]) -> list[HeatMap]:
        """Say where in a picture its own projection finds each of some values."""
        scores, influences = position_influence(
            self.voter.projection.space,
            dict(picture.maps(self.mapped_layers())),
            [value_direction(self.voter, value) for value in values],
        )
        heats = add_up(influences)
        found = []
        for row, value in enumerate(values):
            shares = {layer: float(np.abs(one[row]).mean()) for layer, one in influences.items()}
            whole = sum(shares.values()) or 1.0
            layers = {layer: share / whole for layer, share in shares.items()}
            found.append(HeatMap(value, float(scores[row]), heats[row], layers))
        return found

    @contextlib.contextmanager
    def saving(self, path: Path) -> Iterator[None]:
        """Write it to one `.npz` file without pickles, durable if nothing is raised meanwhile."""
        pairs = None if self.contradictions is None else [vars(x) for x in self.contradictions]
        head = {
            "name": self.name,
            "kind": self.kind,
            "stamp": self.stamp,
            "rows": [(image, values) for image, values in self.rows],
            "count": self.count,
            "verdict": self.verdict.to_dict(),
            "contradictions": pairs,
        }
        arrays = self.voter.to_arrays() | self.checked.to_arrays()
        text = np.frombuffer(json.dumps(head).encode(), np.uint8)
        with replacing(path) as temporary:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, head=text, **arrays)
                file.flush()
                os.fsync(file.fileno())
            yield

    @classmethod
    def load(cls, path: Path) -> TaughtAttribute:
        """Read what `save` wrote.

        Raises
        ------
        CatalogueError
            If it is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            head = json.loads(arrays.pop("head").tobytes())
            kind, pairs = head["kind"], head.get("contradictions")
            make: type[SingleVoter | MultiVoter] = MultiVoter if kind == "multi" else SingleVoter
            return cls(
                head["name"],
                kind,
                head["stamp"],
                make.from_arrays(arrays),
                tuple((image, tuple(values)) for image, values in head["rows"]),
                head["count"],
                Verdict.from_dict(head["verdict"]),
                HeldOutAnswers.from_arrays(arrays),
                None if pairs is None else tuple(Contradiction(**one) for one in pairs),
            )
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise CatalogueError(f"{path} is damaged ({error})") from None


def stamp_of(config: FeatureConfig, taught: Taught) -> str:
    """Name a state of an attribute: all that decides how it is fitted."""
    said = [
        (example.id.hex(), sorted(example.values.items()), example.group)
        for example in taught.examples
    ]
    state = json.dumps(
        [VERSION, config.fingerprint, taught.kind, taught.layers, taught.allowed_loss, said]
    )
    return hashlib.sha256(state.encode()).hexdigest()[:16]
