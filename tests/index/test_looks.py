import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gingham.errors import InputError, ShapeError
from gingham.index.looks import TAUGHT_SCALE, Look, LookSpace, builtin_looks, direction, unit
from gingham.index.sliders import parse_look

LAYERS = [
    ("stem", 4),
    ("s1", 2),
    ("s2", 3),
    ("s3", 5),
    ("s4", 6),
    ("s5", 7),
    ("s6", 8),
    ("head", 9),
]
SPACE = LookSpace(builtin_looks(LAYERS))


def features(n: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(n, 2 * c)).astype(np.float16) for name, c in LAYERS}


@pytest.mark.parametrize(
    ("layers", "colour", "texture", "semantic"),
    [
        (
            "stem s1 s2 s3 s4 s5 s6 s7 head",
            ("stem", "s1", "s2"),
            ("s4", "s5", "s6"),
            ("head",),
        ),
        (
            "conv1 layer1 layer2 layer3 layer4",
            ("conv1", "layer1"),
            ("layer2", "layer3"),
            ("layer4",),
        ),
        ("conv1 layer1 layer2 layer3", ("conv1", "layer1"), ("layer2",), ("layer3",)),
        ("a b", ("a",), ("b",), ("b",)),
        ("a", ("a",), ("a",), ("a",)),
    ],
)
def test_builtin_looks_go_by_depth(
    layers: str, colour: tuple[str, ...], texture: tuple[str, ...], semantic: tuple[str, ...]
) -> None:
    looks = builtin_looks([(name, 4) for name in layers.split()])
    assert [look.name for look in looks] == ["colour", "texture", "semantic"]
    assert [look.layers for look in looks] == [colour, texture, semantic]


@pytest.mark.parametrize("layers", [[], [("a", 3), ("a", 3)], [("a", 0)]])
def test_builtin_looks_refuse(layers: list[tuple[str, int]]) -> None:
    with pytest.raises(InputError, match="different"):
        builtin_looks(layers)


def test_embed_is_the_formula() -> None:
    pooled = features(3)
    stored = SPACE.embed(pooled)
    assert {look: rows.shape for look, rows in stored.items()} == {
        look: (3, width) for look, width in SPACE.widths.items()
    }

    def norm(x: NDArray[Any]) -> Any:
        return x / np.linalg.norm(x)

    for i in range(3):
        colour = []
        for name, c in LAYERS[:3]:
            row = pooled[name][i].astype(np.float64)
            colour += [0.5 * norm(row[:c]), norm(row[c:])]
        texture = [norm(pooled[name][i, :c].astype(np.float64)) for name, c in LAYERS[4:6]]
        head = pooled["head"][i].astype(np.float64)
        expected = {
            "colour": 4 * norm(np.concatenate(colour)),
            "texture": 1.5 * norm(np.concatenate(texture)),
            "semantic": norm(head[:9] + head[9:] / 2),
        }
        for look, rows in stored.items():
            assert rows.dtype == np.float32
            np.testing.assert_allclose(rows[i], expected[look], atol=1e-6)


@pytest.mark.parametrize("max_width", [6, 512])
def test_a_row_depends_on_its_own_image_alone(max_width: int) -> None:
    looks = [
        Look(x.name, x.layers, x.channels, x.statistics, max_width, x.scale) for x in SPACE.looks
    ]
    space = LookSpace(looks)
    pooled = features(37)
    together = space.embed(pooled)
    for step in (1, 20):
        parts = [
            space.embed({k: v[i : i + step] for k, v in pooled.items()}) for i in range(0, 37, step)
        ]
        for look, rows in together.items():
            np.testing.assert_array_equal(rows, np.concatenate([part[look] for part in parts]))


def test_projection_is_fixed_and_nearly_keeps_angles() -> None:
    wide = Look("wide", ("a",), (600,), "mean", 300, 1.0)
    rows = np.random.default_rng(0).normal(size=(40, 1200)).astype(np.float32)
    out = wide.embed({"a": rows})
    assert out.shape == (40, 300)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-5)
    full = unit(rows[:, :600])
    assert np.abs(out @ out.T - full @ full.T).max() < 0.2
    # Stored vectors outlive versions of numpy: these digits must never change.
    np.testing.assert_allclose(out[0, :4], [0.0501, 0.0791, -0.0832, 0.0815], atol=1e-4)


def test_blank_image_gives_zeros_and_no_nan() -> None:
    stored = SPACE.embed({name: np.zeros((2, 2 * c), np.float16) for name, c in LAYERS})
    assert not any(rows.any() for rows in stored.values())
    assert not direction(stored["colour"]).any()


def test_similarity_is_a_constant_and_a_product_with_what_is_stored() -> None:
    stored = SPACE.embed(features(9))
    for look in SPACE.looks:
        plain = look.embed(features(9))
        np.testing.assert_allclose(
            1 - look.scale + stored[look.name] @ direction(stored[look.name][:1]),
            SPACE.similarity(look.name, plain @ plain[0]),
            atol=1e-5,
        )
    assert SPACE.scale("attribute:any") == TAUGHT_SCALE


def test_sliders_at_zero_do_not_count_and_taught_looks_do() -> None:
    weights = SPACE.check({"colour": 1, "texture": 0, "attribute:a=b": 2})
    assert weights == {"colour": 1, "attribute:a=b": 2}


@settings(deadline=None)
@given(
    rows=hnp.arrays(
        np.float32, st.tuples(st.integers(2, 6), st.just(5)), elements=st.floats(-9, 9, width=32)
    )
)
def test_direction_of_several(rows: NDArray[Any]) -> None:
    found = direction(rows[:-1], rows[-1:])
    assert np.isfinite(found).all()
    unit_rows = [r / np.linalg.norm(r) if np.linalg.norm(r) > 1e-12 else 0 * r for r in rows]

    def norm(x: NDArray[Any]) -> Any:
        return x / np.linalg.norm(x)

    mean = np.mean(unit_rows[:-1], axis=0)
    if np.linalg.norm(mean) > 1e-3 and np.linalg.norm(rows[-1]) > 1e-3:
        expected = norm(norm(mean) - 0.5 * unit_rows[-1])
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_opposite_examples_cancel() -> None:
    row = np.ones((1, 4), np.float32)
    assert not direction(np.concatenate([row, -row])).any()
    np.testing.assert_allclose(direction(row, row), unit(row)[0])
    with pytest.raises(ShapeError, match=r"N >= 1.*\(0, 4\)"):
        direction(row[:0])


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"shape": 1.0}, "'shape'.*'colour', 'texture', 'semantic'"),
        ({"colour": float("nan")}, "'colour'.*nan"),
        ({"colour": -1.0}, "from 0 to 1,000,000, got -1"),
        ({"colour": 0.0}, "above 0"),
        ({}, "above 0"),
    ],
)
def test_bad_weights(weights: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SPACE.check(weights)


def test_bad_features() -> None:
    pooled = features(2)
    with pytest.raises(InputError, match="lack the layer 'stem'"):
        SPACE.embed({k: v for k, v in pooled.items() if k != "stem"})
    with pytest.raises(ShapeError, match=r"\(N, 8\), got \(2, 7\)"):
        SPACE.embed(pooled | {"stem": pooled["stem"][:, :7]})
    with pytest.raises(InputError, match=r"'head'.*finite"):
        SPACE.embed(pooled | {"head": np.full((2, 18), np.inf, np.float16)})
    with pytest.raises(InputError, match="different"):
        LookSpace([])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colour=1", ("colour", 1.0)),
        ("attribute:a=b=0.5", ("attribute:a=b", 0.5)),
        ("attribute:sleeve length=2", ("attribute:sleeve length", 2.0)),
    ],
)
def test_parse_look(text: str, expected: tuple[str, float]) -> None:
    assert parse_look(text) == expected


@pytest.mark.parametrize(
    "text", ["colour", "colour=", "=1", "colour=red", "colour=nan", "", "c=inf"]
)
def test_parse_look_refuses(text: str) -> None:
    with pytest.raises(InputError, match="LOOK=WEIGHT"):
        parse_look(text)


def test_fingerprint_follows_the_looks() -> None:
    same = LookSpace(builtin_looks(LAYERS))
    assert same.fingerprint == SPACE.fingerprint
    assert len(SPACE.fingerprint) == len(hashlib.sha256().hexdigest())
    other = [(name, c + (name == "stem")) for name, c in LAYERS]
    assert LookSpace(builtin_looks(other)).fingerprint != SPACE.fingerprint
