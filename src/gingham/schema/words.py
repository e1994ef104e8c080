"""Words to filters: what a search in words means by taught values, synonyms and translations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gingham.colours import NAMED
from gingham.results import Result
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue

_HISSING = ("sses", "shes", "ches", "xes", "zes")
_WORD = re.compile(r"[\w'-]+")
_SKIPPED = frozenset(
    {
        *("a", "an", "and", "the", "with", "in", "of", "for", "or", "is", "on", "to", "me", "my"),
        *("some", "all", "any", "that", "has", "have"),
        *("der", "die", "das", "ein", "eine", "einen", "und", "mit", "im", "für", "von", "oder"),
        *("le", "la", "les", "un", "une", "et", "avec", "de", "du", "des"),
    }
)
_NOT = frozenset(
    {"not", "no", "without", "except", "ohne", "kein", "keine", "nicht", "sans", "pas"}
)


@dataclass(frozen=True)
class Understood(Result):
    """What a text means.

    Attributes
    ----------
    where : filters, as `search` takes them.
    colours : colours that no value is called: colour -> weight, as `search` takes them.
    meant : words -> the filter or colour they became; `(also ...)` names what they might mean, too.
    not_understood : the other words.
    ranked_by : the words by which the look `text` ranks what passes the filters: all of them; None
        where there is no such look, or it does not count.
    """

    where: tuple[str, ...]
    colours: dict[str, float]
    meant: dict[str, str]
    not_understood: tuple[str, ...]
    ranked_by: str | None = None


def understand(
    text: str,
    known: Mapping[str, Collection[str]],
    schema: Schema | None = None,
    *,
    ranked: bool = False,
) -> Understood:
    """Read a text such as `red dress without polka dots`; the longest names are found first.

    Case, accents and an English plural do not matter. The name of an attribute before a value says
    which attribute is meant; else it is the first that has the value. `not` or `without` before a
    value makes its filter `!=`; before what is not understood it is not understood, either, and
    says nothing of what follows.

    Parameters
    ----------
    text : in any of the languages of the schema.
    known : attribute -> its values, with those above them; facets will do.
    schema : further words for them.
    ranked : whether a look ranks by the words, too.
    """
    phrases = _phrases(known, schema or Schema())
    attributes = {_plain(x): x for x in known}
    for name, one in (schema or Schema()).attributes.items():
        if name in known:
            attributes |= dict.fromkeys(map(_plain, _called(name, one)), name)
    words = [found[0] for found in _WORD.finditer(text)]
    longest = max((phrase.count(" ") + 1 for phrase in (*phrases, *attributes)), default=1)
    where: list[str] = []
    colours: dict[str, float] = {}
    meant: dict[str, str] = {}
    lost: list[str] = []
    asked: tuple[str, str] | None = None  # an attribute's name, and the words for it
    negated, at = "", 0  # the word that negates what follows
    while at < len(words):
        for size in range(min(longest, len(words) - at), 0, -1):
            said = " ".join(words[at : at + size])
            plain = _plain(said)
            if plain in phrases or plain in attributes:
                break
        at += size
        found = phrases.get(plain, {})
        between = said.casefold() in _SKIPPED | _NOT
        if negated and asked and asked[0] not in found and not between:
            # It was about the attribute alone.
            lost += [negated, asked[1]]
            negated, asked = "", None
        if found:
            name = asked[0] if asked and asked[0] in found else next(iter(found))
            filters = [f"{name}{'!=' if negated else '='}{x}" for x in found[name]]
            where += (x for x in filters if x not in where)
            others = [f"{x}={y[0]}" for x, y in found.items() if x != name]
            hint = f" (also {', '.join(others)})" if others and not asked else ""
            meant[said] = ", ".join(filters) + hint
            if asked and asked[0] != name:
                lost.append(asked[1])
            asked, negated = None, ""
        elif plain in attributes:
            asked = attributes[plain], said
        elif plain in NAMED and not negated:
            colours[plain] = 1.0
            meant[said] = f"the colour {plain}"
        elif said.casefold() in _NOT:
            negated = said
        elif said.casefold() not in _SKIPPED:
            lost += [negated, said] if negated else [said]
            negated = ""
    lost += [one for one in (negated, asked and asked[1]) if one]
    return Understood(tuple(where), colours, meant, tuple(lost), text if ranked else None)


def in_own_words(
    where: Sequence[str], known: Mapping[str, Collection[str]], schema: Schema
) -> list[str]:
    """Write filters such as `Kategorie=Kleid` with the names that attributes and values have.

    What has no other name, or is one itself, stays as it is.

    Parameters
    ----------
    where : filters, see `gingham.index.filters.parse_where`.
    known : attribute -> its values.
    """
    if not schema.attributes:
        return list(where)
    attributes = {_plain(word): x for x in known for word in _called(x, _about(schema, x))}
    written = []
    for text in where:
        said, equals, value = text.partition("=")
        name, negated = (said[:-1], "!") if said.endswith("!") else (said, "")
        name = name if name in known else attributes.get(_plain(name), name)
        values = known.get(name, ())
        meant = [value]
        if value not in values:
            meant = _phrases({name: values}, schema).get(_plain(value), {}).get(name, meant)
        written += [f"{name}{negated}={one}" for one in meant] if equals else [text]
    return written


def _about(schema: Schema, attribute: str) -> SchemaAttribute:
    return schema.attributes.get(attribute, SchemaAttribute())


def _phrases(
    known: Mapping[str, Collection[str]], schema: Schema
) -> dict[str, dict[str, list[str]]]:
    """Give what words mean: as they are compared -> attribute -> values."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, values in known.items():
        about = _about(schema, name)
        for value in values:
            for word in _called(value, about.values.get(value, SchemaValue())):
                meant = found.setdefault(_plain(word), {}).setdefault(name, [])
                meant += [value] if value not in meant else []
    found.pop("", None)
    return found


def _called(name: str, about: SchemaValue | SchemaAttribute) -> Iterator[str]:
    yield name
    yield from about.synonyms
    for words in about.translations.values():
        yield from words


def _plain(text: str) -> str:
    """Write words as they are compared."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("_", " "))
    words = _WORD.findall("".join(c for c in parts if not unicodedata.combining(c)))
    return " ".join(_singular(word) for word in " ".join(words).replace("-", " ").split())


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith(("ies", "ie")):
        return word.removesuffix("s").removesuffix("ie") + "y"  # as in hoodie, and in cherry
    if word.endswith(_HISSING):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
