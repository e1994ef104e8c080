"""Shopify's taxonomy, from files of the shape that it is published in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gingham.errors import InputError
from gingham.schema.answers import inapplicable
from gingham.schema.shopify import import_shopify

ATTRIBUTES = {
    "1": ("Color", ["Black", "Blue"]),
    "2": ("Neckline", ["V-neck", "Crew"]),
    "3": ("Shade type", ["Drum", "unknown"]),
}
TREE: dict[str, tuple[str, list[str]]] = {
    "aa": ("Apparel & Accessories", ["1"]),
    "aa-1": ("Apparel & Accessories > Clothing", ["1"]),
    "aa-1-1": ("Apparel & Accessories > Clothing > Tops", ["1", "2"]),
    "aa-1-1-1": ("Apparel & Accessories > Clothing > Tops > T-Shirts", ["1", "2"]),
    "aa-1-2": ("Apparel & Accessories > Clothing > Dresses", ["1", "2"]),
    "aa-1-3": ("Apparel & Accessories > Clothing > Accessories", ["1"]),
    "hg": ("Home & Garden", ["1"]),
    "hg-1": ("Home & Garden > Lighting", ["1", "3"]),
    "hg-1-1": ("Home & Garden > Lighting > Accessories", ["1"]),
}
GERMAN = {"aa-1-2": "Kleider", "Blue": "Blau"}


def write(folder: Path, words: dict[str, str] | None = None, together: bool = False) -> Path:
    words = words or {}
    folder.mkdir(parents=True, exist_ok=True)

    def category(key: str) -> dict[str, Any]:
        path, used = TREE[key]
        parent = key.rpartition("-")[0]
        *above, name = path.split(" > ")
        full = " > ".join([*above, words.get(key, name)])
        return {
            "id": f"gid://shopify/TaxonomyCategory/{key}",
            "level": len(above),
            "name": words.get(key, name),
            "full_name": full,
            "parent_id": f"gid://shopify/TaxonomyCategory/{parent}" if parent else None,
            "attributes": [
                {
                    "id": f"gid://shopify/TaxonomyAttribute/{one}",
                    "name": ATTRIBUTES[one][0],
                    "handle": ATTRIBUTES[one][0].lower(),
                    "extended": False,
                }
                for one in used
            ],
            "children": [],
            "ancestors": [],
        }

    verticals = [
        {"name": x, "prefix": y, "categories": [category(k) for k in TREE if k.startswith(y)]}
        for x, y in (("Apparel & Accessories", "aa"), ("Home & Garden", "hg"))
    ]
    attributes = [
        {
            "id": f"gid://shopify/TaxonomyAttribute/{key}",
            "name": name,
            "handle": name.lower(),
            "description": f"{name} of the product",
            "extended_attributes": [],
            "values": [
                {
                    "id": f"gid://shopify/TaxonomyValue/{key}{place}",
                    "name": words.get(value, value),
                    "handle": value.lower(),
                }
                for place, value in enumerate(values)
            ],
        }
        for key, (name, values) in ATTRIBUTES.items()
    ]
    parts = {
        "categories.json": {"verticals": verticals},
        "attributes.json": {"attributes": attributes},
    }
    if together:
        parts = {"taxonomy.json": {"verticals": verticals, "attributes": attributes}}
    for name, said in parts.items():
        (folder / name).write_text(json.dumps({"version": "2026-11", **said}), encoding="utf-8")
    lines = [f"gid://shopify/TaxonomyCategory/{key:<8} : {path}" for key, (path, _) in TREE.items()]
    (folder / "categories.txt").write_text("\n".join(["# Categories", "", *lines]))
    return folder


def test_categories_attributes_and_values(tmp_path: Path) -> None:
    schema = import_shopify(write(tmp_path / "en"))
    category = schema.attributes["category"]
    assert category.parents == {
        "Clothing": "Apparel & Accessories",
        "Tops": "Clothing",
        "T-Shirts": "Tops",
        "Dresses": "Clothing",
        "Clothing > Accessories": "Clothing",
        "Lighting": "Home & Garden",
        "Lighting > Accessories": "Lighting",
    }
    assert category.values["Tops"].synonyms == ("Apparel & Accessories > Clothing > Tops",)
    assert category.values["Home & Garden"].synonyms == ()
    assert schema.attributes["Color"].when == {}, "it applies to all"
    assert schema.attributes["Neckline"].when == {"category": ("Tops", "Dresses")}
    assert list(schema.attributes["Neckline"].values) == ["V-neck", "Crew"]
    assert schema.attributes["Neckline"].description == "Neckline of the product"
    assert list(schema.attributes["Shade type"].values) == ["Drum"]
    assert inapplicable(schema, {"category": ["T-Shirts"]}) == {"Shade type"}
    assert inapplicable(schema, {"category": ["Lighting"]}) == {"Neckline"}
    assert import_shopify(write(tmp_path / "one", together=True)) == schema
    assert import_shopify(tmp_path / "one" / "taxonomy.json") == schema


def test_one_category_in_all_languages(tmp_path: Path) -> None:
    write(tmp_path / "dist" / "en")
    write(tmp_path / "dist" / "de", GERMAN)
    (tmp_path / "dist" / "integrations").mkdir()
    schema = import_shopify(tmp_path / "dist", "Apparel & Accessories > Clothing")
    assert list(schema.attributes["category"].values) == [
        *("Clothing", "Tops", "T-Shirts", "Dresses", "Accessories"),
    ]
    assert schema.attributes["category"].values["Clothing"].parent is None
    assert schema.attributes["category"].values["Dresses"].translations == {"de": ("Kleider",)}
    assert schema.attributes["Color"].values["Blue"].translations == {"de": ("Blau",)}
    assert "Shade type" not in schema.attributes
    assert (
        not import_shopify(tmp_path / "dist" / "en").attributes["Color"].values["Blue"].translations
    )


def test_what_is_taught_keeps_its_names(tmp_path: Path) -> None:
    known = {"neckline": ["v-neck", "boat"], "Category": ["dresses"]}
    schema = import_shopify(write(tmp_path), known=known)
    assert {"neckline", "Category"} <= schema.attributes.keys()
    assert list(schema.attributes["neckline"].values) == ["v-neck", "Crew"]
    assert schema.attributes["neckline"].when == {"Category": ("Tops", "dresses")}
    assert schema.attributes["Category"].values["dresses"].parent == "Clothing"


def test_categories_alone(tmp_path: Path) -> None:
    schema = import_shopify(write(tmp_path) / "categories.txt")
    assert list(schema.attributes) == ["category"]
    assert schema.attributes["category"].parents == (
        import_shopify(tmp_path).attributes["category"].parents
    )


def test_what_is_no_taxonomy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected taxonomy\.json, categories\.json"):
        import_shopify(tmp_path)
    with pytest.raises(InputError, match=r"no category 'Apparel & Accessories > Clothes'; did you"):
        import_shopify(write(tmp_path), "Apparel & Accessories > Clothes")
    (tmp_path / "attributes.json").unlink()
    (tmp_path / "categories.json").write_text("{}")
    with pytest.raises(InputError, match="has no categories"):
        import_shopify(tmp_path)
    for text in ('[{"verticals": 3}]', '{"verticals": [{}]}', "{", '{"verticals": 3}'):
        (tmp_path / "categories.json").write_text(text)
        with pytest.raises(InputError, match="is no file of Shopify's taxonomy"):
            import_shopify(tmp_path)
    (tmp_path / "other.txt").write_text("Clothing")
    with pytest.raises(InputError, match="expected ID : PATH, got 'Clothing'"):
        import_shopify(tmp_path / "other.txt")
