"""Shopify's open product taxonomy as a schema, from the files that Shopify publishes.

Those are `categories.json`, `attributes.json`, the two in one `taxonomy.json`, or `categories.txt`,
in a folder for each language (`dist/en`, `dist/de`, ...) of Shopify/product-taxonomy.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.names import NOT_APPLICABLE, UNKNOWN, did_you_mean, same
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue

CATEGORY = "category"
"""The attribute that the categories become."""
_FILES = ("taxonomy.json", "categories.json", "attributes.json", "categories.txt")
_BETWEEN = " > "
_ENGLISH = "en"

Words = dict[str, dict[str, tuple[str, ...]]]
"""Id -> language -> name."""


@dataclass(frozen=True)
class _Taxonomy:
    """What the files of one language say.

    Attributes
    ----------
    paths : id of a category -> the names from the highest to its own.
    used : id of a category -> its attributes, each (name, id).
    values : id of an attribute -> its description, and (id, name) of its values.
    """

    paths: dict[str, tuple[str, ...]]
    used: dict[str, list[tuple[str, str]]]
    values: dict[str, tuple[str, list[tuple[str, str]]]]

    def names(self) -> Iterator[tuple[str, str]]:
        """Give (id, name) of all categories and values."""
        yield from ((key, path[-1]) for key, path in self.paths.items())
        for _, some in self.values.values():
            yield from some


def import_shopify(
    place: Path, category: str | None = None, known: Mapping[str, Collection[str]] | None = None
) -> Schema:
    """Make a schema of Shopify's taxonomy.

    The attribute `category` has the categories, each below the one above it, under their shortest
    names that tell them apart, with the whole path as a synonym. Their attributes apply to the
    categories that list them, and what is below those.

    Parameters
    ----------
    place : one of the files, or a folder with them; of a folder with one for each language the
        English one counts, and the others give translations.
    category : only this one and what is below it, by its path, as in
        `Apparel & Accessories > Clothing`.
    known : attribute -> its values: what is taught keeps its names, where they differ only in case.

    Raises
    ------
    InputError
        If there is no such file or category, or a file is not of that shape.
    """
    known = known or {}
    folder = place / _ENGLISH if (place / _ENGLISH).is_dir() else place
    english = _read(folder)
    words: Words = defaultdict(dict)
    if folder != place:
        for other in sorted(x for x in place.iterdir() if x.is_dir() and x.name != _ENGLISH):
            if any((other / name).is_file() for name in _FILES):
                for key, name in _read(other).names():
                    words[key][other.name] = (name,)
    chosen = _below(english.paths, category)
    titles = _titles({key: english.paths[key] for key in chosen})
    ids = {path: key for key, path in english.paths.items()}
    own = _own(known.get(_own_name(CATEGORY, known), ()))
    titles = {key: own.get(same(title), title) for key, title in titles.items()}
    top = _own_name(CATEGORY, known)
    categories = {
        title: SchemaValue(
            parent=titles.get(ids.get(english.paths[key][:-1], "")),
            synonyms=tuple({_BETWEEN.join(english.paths[key])} - {title}),
            translations=words[key],
        )
        for key, title in titles.items()
    }
    attributes = {top: SchemaAttribute(values=categories)}
    applying: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in chosen:
        for one in english.used.get(key, ()):
            applying[one].append(key)
    roots = [titles[key] for key in chosen if categories[titles[key]].parent is None]
    for (name, base), keys in sorted(applying.items()):
        name = _own_name(name, known)
        description, some = english.values.get(base, ("", []))
        there = {titles[key] for key in keys}
        highest = tuple(
            x for x in titles.values() if x in there and categories[x].parent not in there
        )
        own = _own(known.get(name, ()))
        attributes[name] = SchemaAttribute(
            description=description,
            when={} if set(highest) == set(roots) else {top: highest},
            values={
                own.get(same(value), value): SchemaValue(translations=words[key])
                for key, value in some
                if value not in (UNKNOWN, NOT_APPLICABLE)
            },
        )
    return Schema(attributes)


def _own_name(name: str, known: Iterable[str]) -> str:
    return _own(known).get(same(name), name)


def _own(names: Iterable[str]) -> dict[str, str]:
    return {same(name): name for name in names}


def _read(place: Path) -> _Taxonomy:
    """Read a file, or those of a folder."""
    files = [place / name for name in _FILES if (place / name).is_file()]
    if place.is_file():
        files = [place]
    if any(file.suffix == ".json" for file in files):
        files = [file for file in files if file.suffix == ".json"]
    if not files:
        raise InputError(
            f"{place}: expected {', '.join(_FILES)}, or a folder with them, as dist/en of "
            "Shopify/product-taxonomy",
            path=place,
        )
    taxonomy = _Taxonomy({}, {}, {})
    for file in files:
        try:
            if file.suffix == ".json":
                _add_json(taxonomy, json.loads(file.read_text(encoding="utf-8")))
            else:
                _add_text(taxonomy, file.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{file} is no file of Shopify's taxonomy: {error!r}", path=file
            ) from None
    if not taxonomy.paths:
        raise InputError(f"{place} has no categories: give the folder with categories.json")
    return taxonomy


def _add_json(taxonomy: _Taxonomy, said: Mapping[str, Any]) -> None:
    for vertical in said.get("verticals", ()):
        for one in vertical["categories"]:
            key = str(one["id"])
            taxonomy.paths[key] = tuple(one["full_name"].split(_BETWEEN))
            taxonomy.used[key] = [(x["name"], x["id"]) for x in one["attributes"]]
    for one in said.get("attributes", ()):
        values = [(x["id"], x["name"]) for x in one["values"]]
        taxonomy.values[str(one["id"])] = one.get("description") or "", values


def _add_text(taxonomy: _Taxonomy, text: str) -> None:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            key, between, path = line.partition(" : ")
            if not between:
                raise ValueError(f"expected ID : PATH, got {line[:80]!r}")
            taxonomy.paths[key.strip()] = tuple(path.strip().split(_BETWEEN))


def _below(paths: Mapping[str, tuple[str, ...]], category: str | None) -> list[str]:
    """Give the ids of a category and those below it."""
    if category is None:
        return list(paths)
    root = tuple(part.strip() for part in category.split(_BETWEEN.strip()))
    found = [key for key, path in paths.items() if path[: len(root)] == root]
    if not found:
        names = [_BETWEEN.join(path) for path in paths.values()]
        raise InputError(f"there is no category {category!r}{did_you_mean(category, names)}")
    return found


def _titles(paths: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Name each path by its last part, or so many of the last that it is alone."""
    titles: dict[str, str] = {}
    left, length = dict(paths), 1
    while left:
        ends = {key: _BETWEEN.join(path[-length:]) for key, path in left.items()}
        often = Counter(same(end) for end in ends.values())
        alone = {
            key: end
            for key, end in ends.items()
            if often[same(end)] == 1 or length >= len(left[key])
        }
        titles |= alone
        left = {key: path for key, path in left.items() if key not in alone}
        length += 1
    return {key: titles[key] for key in paths}
