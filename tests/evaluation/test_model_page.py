"""The page of an evaluation in a real browser: nothing fetched, no error, no page wider than it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from gingham.backbones.preprocess import Preprocess
from gingham.backbones.table import FeatureConfig
from gingham.evaluation.model import Comparison, EvaluateResult
from gingham.evaluation.model_page import MOST_VALUES, write_page
from gingham.training.calibration import calibrate
from gingham.training.config import TrainConfig
from gingham.training.metrics import measure
from gingham.training.trained import TrainedModel
from gingham.training.vocabulary import ModelAttribute, Vocabulary

MANY = tuple(f"article type {i}" for i in range(MOST_VALUES + 5))
VOCABULARY = Vocabulary(
    (
        ModelAttribute("colour", "single", ("<i>odd & red</i>", "green", "navy blue")),
        ModelAttribute("articleType", "single", MANY),
        ModelAttribute("worn", "multi", ("hat", "scarf")),
        ModelAttribute("dotted", "binary", ("yes",)),
    )
)


def evaluation(folder: Path) -> tuple[EvaluateResult, TrainedModel]:
    rng = np.random.default_rng(0)
    targets = np.full((300, len(VOCABULARY)), np.nan, np.float32)
    for attribute in VOCABULARY.attributes:
        columns = VOCABULARY.columns[attribute.name]
        size = len(attribute.values)
        if attribute.kind == "single":
            targets[:, columns] = np.eye(size)[rng.integers(size, size=300)]
        else:
            targets[:, columns] = rng.random((300, size)) < 0.4
    logits = 4 * targets + rng.normal(0, 1.5, targets.shape)
    targets[:40] = np.nan
    calibration = calibrate(VOCABULARY, logits[:150], targets[:150])
    metrics = measure(VOCABULARY, calibration.answers(logits[150:]), targets[150:])
    features = FeatureConfig("efficientnet_lite0", "w", Preprocess(), ())
    config = TrainConfig()
    config = replace(config, model=replace(config.model, backbone="efficientnet_lite0"))
    model = TrainedModel(folder / "model", "abc", config, features, VOCABULARY, calibration, {})
    comparisons = (
        Comparison("colour", 150, 0.91, 0.88, 0.9, 0.85, "trained"),
        Comparison("dotted", 150, 0.8, 0.8, 0.8, 0.81, "equal"),
    )
    dropped = {"colour": {"mauve": 3, "ochre": 1}}
    result = EvaluateResult(
        "abc", "a/labels.csv", "test", 1, metrics, dropped, comparisons, ("x.jpg",)
    )
    return result, model


def test_the_page_is_whole_and_nothing_complains(browser: Any, tmp_path: Path) -> None:
    result, model = evaluation(tmp_path)
    file = tmp_path / "report.html"
    write_page(file, result.to_dict(), model)
    for width, scheme in ((1300, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(file.as_uri())
        assert said == []
        assert asked == [file.as_uri()]
        text = cast(str, page.inner_text("body"))
        assert "<i>odd & red</i>" in text
        assert "Left out: 1 image that the model learned from." in text
        # Folded, after all tables.
        assert "mauve" not in text
        page.click("section:last-of-type summary")
        text = cast(str, page.inner_text("section:last-of-type"))
        assert "3 rows of the table say mauve" in text
        assert "1 row of the table says ochre" in text
        heads = page.eval_on_selector_all("section h2", "all => all.map((h) => h.textContent)")
        assert heads == ["Trained or taught", "Attributes", "Confusions", "Values", "Skipped"]
        # Matrices of colour and dotted; too many article types are a list.
        assert page.eval_on_selector_all("table.heat", "all => all.length") == 2
        cells = page.eval_on_selector_all(
            "table.heat td.n", "all => all.map((c) => Number(c.textContent || 0))"
        )
        counted = sum(np.sum(a.confusion or 0) for a in result.metrics.attributes[::3])
        assert sum(cells) == counted
        shades = page.eval_on_selector_all(
            "table.heat td.n",
            "all => new Set(all.map((c) => getComputedStyle(c).backgroundColor)).size",
        )
        assert shades > 4
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()
