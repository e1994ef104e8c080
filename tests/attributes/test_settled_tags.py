"""Tags that a schema settles, in arrays, against what it says of one image after the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.attributes.attribute import TagBatch
from gingham.attributes.coded_tags import CodedTags
from gingham.attributes.cutoffs import EVERY, Floors
from gingham.attributes.predictions import TagTable
from gingham.attributes.settled_tags import Settling, settled_stamp
from gingham.attributes.tags import Column
from gingham.schema.answers import inapplicable
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue
from gingham.store.ids import from_list

PARENTS = {"x": "xy", "y": "xy", "xy": "all", "z": "all"}
VALUES = {name: SchemaValue(parent=PARENTS.get(name)) for name in ("x", "y", "z", "xy", "all", "w")}
LEAVES = ["x", "y", "z", "w"]


@dataclass
class Tagged:
    """Attributes of a catalogue of which nothing but the tags is there."""

    schema: Schema
    tables: dict[str, TagTable]

    def answering(self) -> list[str]:
        return list(self.tables)

    def tagged(self, name: str) -> str | None:
        return f"tags of {name}" if name in self.tables else None

    def held_to(self, name: str, cutoff: None, *, former: bool = False) -> tuple[CodedTags, Floors]:
        return self.tables[name].in_numbers().sorted(), EVERY


def key(number: int) -> bytes:
    return bytes([number * 37 % 251]) + bytes(31)


def table(said: dict[int, list[str]], guess: str) -> TagTable:
    ids = from_list(key(number) for number in said)
    sure = np.linspace(0.2, 0.9, len(said))
    values = list(said.values())
    return TagTable.of(ids, TagBatch(values, sure, [[] if one else [guess] for one in values]))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["x", "xy", "all", "w"])),
        max_size=8,
    ),
    st.dictionaries(
        st.sampled_from([f"a{n}" for n in range(6)]),
        st.dictionaries(
            st.integers(0, 7),
            st.lists(st.sampled_from(LEAVES), max_size=2, unique=True),
            max_size=8,
        ),
    ),
)
def test_what_applies_is_what_applies_to_each_image(
    edges: list[tuple[int, int, str]], said: dict[str, dict[int, list[str]]]
) -> None:
    schema = Schema(
        {
            f"a{n}": SchemaAttribute(
                when={f"a{m}": (value,) for k, m, value in edges if k == n and m < n}, values=VALUES
            )
            for n in range(6)
        }
    )
    shop: Any = Tagged(schema, {name: table(some, "x") for name, some in said.items()})
    settling = Settling(shop)
    for name, images in said.items():
        found = settling.of(name)
        counted: Counter[str] = Counter()
        rows = {row.id: row for row in found.rows()}
        assert rows.keys() == {key(number) for number in images}
        for number, values in images.items():
            row = rows[key(number)]
            known = {x: some.get(number, []) for x, some in said.items()}
            applies = name not in inapplicable(schema, known)
            assert row.applies == applies
            assert list(row.values) == (values if applies else [])
            assert list(row.guess) == ([] if values or not applies else ["x"])
            above = {one for value in values for one in schema.attributes[name].above(value)}
            counted.update((above or {"unknown"}) if applies else {"not applicable"})
        assert found.counts() == counted
        column = Column.settled(found)
        ids = [key(number) for number in images]
        for one, there in zip(ids, column.find(ids), strict=True):
            assert there is not None
            assert there[0] == (rows[one].values if rows[one].applies else ("not applicable",))


def test_the_stamp_names_all_that_decides() -> None:
    def stamp(schema: Schema, *tagged: str) -> str | None:
        some = {name: table({1: ["x"]}, "x") for name in tagged}
        return settled_stamp(cast(Any, Tagged(schema, some)), "a")

    plain = Schema({"a": SchemaAttribute(synonyms=("b",)), "b": SchemaAttribute()})
    assert stamp(plain) is None
    assert stamp(plain, "a") == stamp(Schema(), "a") == "tags of a"
    when = Schema({"a": SchemaAttribute(when={"b": ("x",)}), "b": SchemaAttribute()})
    other = Schema({"a": SchemaAttribute(when={"b": ("y",)}), "b": SchemaAttribute()})
    above = Schema({"a": SchemaAttribute(when={"b": ("x",)}), "b": SchemaAttribute(values=VALUES)})
    stamps = [stamp(when, "a"), stamp(when, "a", "b"), stamp(other, "a"), stamp(above, "a")]
    assert len({"tags of a", *stamps}) == 5
