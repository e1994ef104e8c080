"""A tiny fake backbone and tiny pictures; no network, no weights."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.database import InMemoryExampleDatabase
from numpy.typing import NDArray
from PIL import Image

from gingham.backbones.preprocess import Preprocess
from gingham.backbones.table import FeatureConfig, Layer

Key = TypeVar("Key")
SHARED = Path(__file__).resolve().parents[2] / "shared"
COLOURS = {"red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 50, 190)}

MAY_SKIP = (
    "the real photos lie beside the project only where they are lent",
    "the superuser may read everything",
    "this system has no /dev/full",
    "file systems cannot be mounted here",
    "PostgreSQL runs for no user that the system does not know",
    "GINGHAM_TEST_QDRANT_URL names no Qdrant server; none can be installed",
    "SCIPY_ARRAY_API is not set: not checking array_api input",
)
"""All other reasons name something that can be installed: under GINGHAM_CI they are failures."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

if not os.access(Path(__file__).parents[1], os.W_OK):
    # Hypothesis would warn that it cannot keep its examples there, and warnings are errors.
    settings.register_profile("unwritable", database=InMemoryExampleDatabase())
    settings.load_profile("unwritable")

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=MAY_SKIP[0])


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("GINGHAM_CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in MAY_SKIP:
            report.outcome = "failed"
            report.longrepr = f"skipped under GINGHAM_CI: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    # Names that are not UTF-8 are logged as they are; no worker could send them.
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


class FakeRuntime:
    """Three layers of plain statistics of the pixels, quick and without any weights."""

    def __init__(self, weights: str = "fake") -> None:
        self.config = FeatureConfig(
            backbone="fake",
            weights=weights,
            preprocess=Preprocess(size=16),
            layers=(Layer("stem", 3), Layer("stage1", 8), Layer("stage2", 8), Layer("head", 12)),
        )
        rng = np.random.default_rng(0)
        self._mix = rng.normal(size=(3, 12)).astype(np.float32)
        self.images_read = 0

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        names = [x.name for x in self.config.layers] if layers is None else list(layers)
        for key, image in images:
            if image is None:
                yield key, None
                continue
            self.images_read += 1
            x = image.astype(np.float32) / 255
            edges = np.abs(np.diff(x, axis=0)).mean(2), np.abs(np.diff(x, axis=1)).mean(2)
            shades = np.quantile(x, (0.2, 0.5, 0.8), axis=(0, 1)).ravel()
            shades = np.concatenate([shades, shades[:3] * shades[3:6], shades[6:] ** 2, [x.max()]])
            texture = np.concatenate(
                [[e.mean(), e.std(), *np.quantile(e, (0.5, 0.9))] for e in edges]
            )
            maps = {
                "stem": np.concatenate([x.mean((0, 1)), x.std((0, 1))]),
                "stage1": shades,
                "stage2": np.concatenate([texture, texture**2]),
                "head": np.maximum(
                    np.concatenate([x.mean((0, 1)) @ self._mix, x.std((0, 1)) @ self._mix]), 0
                ),
            }
            yield key, {name: maps[name].astype(np.float32) for name in names}


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


def draw(path: Path, colour: str, seed: int, *, striped: bool = False) -> Path:
    """Write a small noisy JPEG of one colour, striped or not; every seed gives other bytes."""
    rng = np.random.default_rng([seed, sorted(COLOURS).index(colour), striped])
    pixels = np.full((24, 20, 3), COLOURS[colour], np.float64) + rng.normal(0, 12, (24, 20, 3))
    if striped:
        pixels[:: rng.integers(3, 5)] += 55
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=92)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty-six pictures: three colours, half of each striped."""
    for colour in COLOURS:
        for seed in range(12):
            draw(tmp_path / "photos" / f"{colour}{seed}.jpg", colour, seed, striped=seed % 2 == 1)
    return tmp_path / "photos"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder whose subfolders are colours, six examples each."""
    for colour in COLOURS:
        for seed in range(100, 106):
            draw(
                tmp_path / "examples" / colour / f"{seed}.jpg", colour, seed, striped=seed % 2 == 1
            )
    return tmp_path / "examples"


@pytest.fixture(autouse=True)
def _no_chdir() -> Iterator[None]:
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A real PostgreSQL server with pgvector."""
    for module in ("pg0", "psycopg", "tenacity"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        pytest.skip("PostgreSQL runs for no user that the system does not know")
    from postgres_server import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture
def local_qdrant() -> Iterator[Any]:
    """What a Qdrant server holds, in this process; every request was a right one."""
    for module in ("qdrant_client", "tenacity"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from qdrant_server import LocalQdrant

    held = LocalQdrant()
    yield held
    assert held.refused == []


@pytest.fixture
def qdrant() -> Iterator[Any]:
    """A server on loopback that answers as Qdrant does; every request was a right one."""
    for module in ("qdrant_client", "tenacity"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from qdrant_server import QdrantServer

    server = QdrantServer()
    yield server
    server.stop()
    assert server.held.refused == []


@pytest.fixture(params=["postgresql", "qdrant"])
def index_server(request: pytest.FixtureRequest) -> Any:
    """A place for an index in each kind of server."""
    for module in ("pg0", "psycopg", "qdrant_client", "tenacity"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from index_servers import SERVERS

    fixture, place = SERVERS[request.param]
    return place(request.getfixturevalue(fixture))


@pytest.fixture
def qdrant_url() -> Iterator[Any]:
    """Gives addresses of collections of a real Qdrant server, which are deleted in the end."""
    url = os.environ.get("GINGHAM_TEST_QDRANT_URL")
    if not url:
        pytest.skip("GINGHAM_TEST_QDRANT_URL names no Qdrant server; none can be installed")
    from qdrant_client import QdrantClient

    names: list[str] = []

    def named(name: str) -> str:
        names.append(name)
        return f"qdrant+{url.rstrip('/')}/{name}"

    yield named
    client = QdrantClient(url=url, api_key=os.environ.get("QDRANT_API_KEY"))
    for one in client.get_collections().collections:
        if one.name.rsplit(".", 1)[0] in names:
            client.delete_collection(one.name)
    client.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's Chromium, driven by playwright; both want a home."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with pytest.MonkeyPatch.context() as patch:
        if "HOME" not in os.environ:
            patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        playwright = sync_api.sync_playwright().start()
    opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield opened
    opened.close()
    playwright.stop()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the address of an empty place in object storage, known to this and other processes."""
    import secrets

    import s3

    for name, value in s3.environment(s3.shared()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path / "cache"))
    return f"s3://{s3.shared_bucket()}/{secrets.token_hex(8)}"
