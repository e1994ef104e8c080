"""What an attribute says of every image as it was taught at an earlier time."""

from __future__ import annotations

from collections.abc import Callable

from gingham.attributes.attribute_fitting import fit
from gingham.attributes.predictions import TagTable
from gingham.attributes.registry import Attributes
from gingham.attributes.settled_tags import Settling
from gingham.attributes.tags import Column
from gingham.errors import InputError
from gingham.store.examples import Taught
from gingham.store.truth import Truth


def taught_at(truth: Truth, attribute: str, number: int) -> tuple[int, Taught | None]:
    """Give what an attribute was taught when a change was the latest.

    Parameters
    ----------
    number : of the change; 0: before the first.

    Returns
    -------
    The version of the log of examples, which names the state, and what was taught; None: nothing
    that tells values apart.

    Raises
    ------
    InputError
        If there is no such change.
    """
    entries = truth.changes.entries()
    if not 0 <= number <= len(entries):
        raise InputError(f"there is no change {number}: the last one is {len(entries)}")
    # A change that only adds images may end after one that teaches, and began before it.
    version = max((one.examples_to for one in entries[:number]), default=0)
    if number == 0 and entries:
        version = entries[0].examples_from
    taught = truth.log.read_until(version).get(attribute)
    return version, None if taught is None or len(taught.values) < 2 else taught


def past_tags(
    truth: Truth, attributes: Attributes, attribute: str, taught: Taught, check: Callable[[], None]
) -> Column:
    """Tag the images that are in the catalogue now with what was taught.

    Nothing is written. The images that tell what is ordinary are those of now, too, so that two
    times differ by their examples alone.

    Parameters
    ----------
    check : called between two batches; what it raises ends the work.
    """
    once = fit(truth, attribute, taught, attributes.background).attribute
    ways = attributes.hierarchy(attribute, once.values)
    parts = []
    for ids, features in truth.features.blocks(once.layers, truth.locations.ids()):
        check()
        parts.append(TagTable.of(ids, once.tags(features).down(ways)))
    limits = attributes.limits(once, None)
    settled = Settling(attributes).settle(
        attribute, TagTable.joined(parts).in_numbers().sorted(), limits
    )
    return Column.settled(settled)
