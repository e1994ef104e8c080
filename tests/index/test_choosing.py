from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_index import ReferenceIndex

from gingham.index.index import Match, Query, Term, Upsert
from gingham.index.looks import LookSpace, builtin_looks
from gingham.operations.choosing import NEAR, By, Narrowed, choose
from gingham.store import ids as many
from gingham.store.products import Groups

SPACE = LookSpace(builtin_looks([("a", 2), ("b", 2), ("c", 2)]))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_is_chosen_agrees_with_one_after_another(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    kinds = data.draw(st.integers(1, 12))
    keys = [bytes([i]) * 32 for i in range(1, count + 1)]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    # Few different pictures, so that there are copies.
    pictures = {name: np.abs(rng.normal(size=(kinds, 4))) for name in ("a", "b", "c")}
    which = rng.integers(kinds, size=count)
    vectors = SPACE.embed({name: rows[which] for name, rows in pictures.items()})
    index = ReferenceIndex()
    index.reset(SPACE.widths)
    index.apply([Upsert([key.hex() for key in keys], vectors)])
    grouped = [key for key in keys if data.draw(st.booleans())]
    of = {key: f"p{data.draw(st.integers(0, 5))}" for key in grouped}
    groups = Groups.of(many.from_list(of), of.values())
    by: By | None = data.draw(st.sampled_from([None, "product"]))
    own = data.draw(st.lists(st.sampled_from(keys), max_size=3, unique=True))
    choice = Narrowed(own, data.draw(st.booleans()), by)
    terms = [Term(look, rows[0] / 2, 1.0) for look, rows in vectors.items()]
    n = data.draw(st.integers(1, 50))
    found = choose(index, Query(terms, n), choice, SPACE, lambda by: groups)

    def alike(a: bytes, b: bytes) -> bool:
        looks = [
            1 - SPACE.scale(look) + rows[keys.index(a)] @ rows[keys.index(b)] / SPACE.scale(look)
            for look, rows in vectors.items()
        ]
        return float(np.mean(looks)) >= NEAR

    shown, expected = list(own), list[Match]()
    for match in index.query(Query(terms, count)):
        key = bytes.fromhex(match.id)
        same = by is not None and key in of and of[key] in [of.get(one) for one in shown]
        near = choice.distinct and any(alike(key, one) for one in shown)
        if key not in own and not same and not near:
            shown.append(key)
            expected.append(match)
    assert found == expected[:n]
