"""The taught attributes of a catalogue as one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gingham.attributes.attribute import chosen_names
from gingham.attributes.registry import Attributes
from gingham.attributes.taught import TaughtAttribute


@dataclass(frozen=True)
class TaughtAttributes:
    """The taught attributes of a catalogue, also those that a trained model answers in place of."""

    registry: Attributes

    def attributes(self, names: Sequence[str] | None = None) -> list[TaughtAttribute]:
        """See `gingham.attributes.attribute.Model`."""
        chosen = chosen_names(self.registry.names(), names)
        return [self.registry.taught_attribute(name) for name in chosen]
