"""What a cut-off means, for the commands that take one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gingham.cli.console import say
from gingham.names import one_line

if TYPE_CHECKING:
    from gingham.catalogue import Catalogue
    from gingham.client.remote import RemoteCatalogue


def cut_offs(
    shop: Catalogue | RemoteCatalogue,
    names: Iterable[str],
    min_confidence: float | None,
    at_precision: float | None,
) -> dict[str, dict[str, Any]]:
    """Say what a cut-off means for attributes; nothing if none is given."""
    if min_confidence is None and at_precision is None:
        return {}
    return {
        name: shop.cutoff(name, min_confidence=min_confidence, at_precision=at_precision).to_dict()
        for name in names
    }


def print_cut_offs(cutoffs: Mapping[str, Mapping[str, Any]]) -> None:
    """Print how much is answered with a cut-off, and how right that is."""
    for name, found in cutoffs.items():
        if found["answered"] is None:
            said = "no held-out examples say how much is answered"
        else:
            right = "none" if found["right"] is None else f"{found['right']:.2f}"
            said = (
                f"of {found['tested']} held-out examples {found['answered']:.2f} are answered, "
                f"{right} of them right"
            )
        say(f"{one_line(name)}: {said}")
