from __future__ import annotations

import locale
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conftest import SHARED, needs_shared
from gingham.backbones.descriptors import rgb_histogram
from gingham.backbones.openvino import OpenVinoRuntime
from gingham.backbones.preprocess import Reading
from gingham.backbones.runtime import cpu_count, load_runtime
from gingham.backbones.table import BACKBONES
from gingham.backbones.torch import TorchRuntime
from gingham.errors import BackboneError, InputError
from helpers import smooth_pictures, smooth_shapes, weights_of

KERAS = SHARED / "weights" / "resnet50_keras_to_layer3.safetensors"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("efficientnet_lite0", "package"),
        ("resnet50", "made"),
        ("vgg16", "made"),
        ("efficientnet_b0", "made"),
        ("test_resnet", "made"),
        pytest.param("resnet50_keras", "lent", marks=needs_shared),
    ],
)
def test_openvino_agrees_with_torch_eager(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: Path | None = None
    if kind == "made":
        monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path / "cache"))
        architecture = BACKBONES[name].architecture if name in BACKBONES else name
        weights = weights_of(architecture, tmp_path / "w.safetensors")
    elif kind == "lent":
        weights = KERAS
    kept = ("fc", "conv", "rgb")
    ours = OpenVinoRuntime(name, weights, descriptors=kept)
    eager = TorchRuntime(name, weights, device="cpu", descriptors=kept)
    assert ours.config == eager.config
    images = list(enumerate(smooth_pictures(ours.config.preprocess.size)))
    pairs = zip(ours.stream(images), eager.stream(images), strict=True)
    for (key, got), (expected_key, expected) in pairs:
        assert key == expected_key
        assert got is not None
        assert expected is not None
        for layer, width in ours.config.widths.items():
            a, b = got[layer], expected[layer]
            assert a.shape == (width,)
            # Made weights may leave nothing above a threshold; real ones must not.
            assert b.any() or kind == "made"
            assert a @ b >= 0.9999 * np.linalg.norm(a) * np.linalg.norm(b), layer
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * np.abs(b).max())
        np.testing.assert_allclose(got["rgb"], rgb_histogram(images[key][1]), rtol=1e-5)


@pytest.mark.parametrize("name", ["efficientnet_b0", "test_resnet"])
def test_every_backbone_reads_whole_images(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path / "cache"))
    architecture = BACKBONES[name].architecture if name in BACKBONES else name
    weights = weights_of(architecture, tmp_path / "w.safetensors")
    kept, reading = ("fc", "conv", "rgb"), Reading("whole", 224)
    ours = OpenVinoRuntime(name, weights, descriptors=kept, reading=reading)
    eager = TorchRuntime(name, weights, device="cpu", descriptors=kept, reading=reading)
    assert ours.config == eager.config
    images = list(enumerate(smooth_shapes([(192, 256), (320, 160), (192, 256)])))
    pairs = zip(ours.stream(images), eager.stream(images), strict=True)
    for (key, got), (expected_key, expected) in pairs:
        assert key == expected_key
        assert got is not None
        assert expected is not None
        for layer in ours.config.widths:
            a, b = got[layer], expected[layer]
            assert a @ b >= 0.9999 * np.linalg.norm(a) * np.linalg.norm(b), layer
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * np.abs(b).max())


def test_a_network_that_takes_one_shape_only_says_so(tmp_path: Path) -> None:
    weights = weights_of("test_maxvit", tmp_path / "w.safetensors")
    with pytest.raises(
        BackboneError, match=r"'test_maxvit' cannot read view whole, resolution 160"
    ):
        TorchRuntime("test_maxvit", weights, device="cpu", reading=Reading("whole", 160))


def test_a_conversion_serves_a_catalogue_that_says_how_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path))
    weights = weights_of("test_resnet", tmp_path / "w.safetensors")
    own = OpenVinoRuntime("test_resnet", weights).config
    again = OpenVinoRuntime("test_resnet", weights, reading=Reading.of(own.preprocess)).config
    assert again == own
    assert len(list(tmp_path.glob("test_resnet-*"))) == 1
    finer = OpenVinoRuntime("test_resnet", weights, reading=Reading("square", 192)).config
    assert finer.preprocess.size == 192
    assert finer.fingerprint != own.fingerprint


# The first, the last and the sum of a layer's features, from a forward pass written out in torch.
CANONICAL = {
    "stem": [2.80831, 0.00000, 95.2664],
    "stage1": [-0.09975, 4.76082, 87.0877],
    "stage2": [0.21401, 8.20315, 172.2085],
    "stage3": [-4.17500, 5.89904, 252.5478],
    "stage4": [9.73143, 5.18928, 406.5574],
    "stage5": [0.20754, 2.88525, 462.2867],
    "stage6": [3.27168, 2.23211, 567.0961],
    "stage7": [-0.91446, 0.64889, 324.8622],
    "head": [0.00000, 0.00000, 350.2369],
}


def test_canonical_vectors_of_the_default_backbone() -> None:
    (picture,) = smooth_pictures(224, 1)
    ((_, features),) = OpenVinoRuntime("efficientnet_lite0").stream([(0, picture)])
    assert features is not None
    got = {layer: [float(v[0]), float(v[-1]), float(v.sum())] for layer, v in features.items()}
    again = ["pixels", "stem", "stage1", "stage2"]
    assert list(got) == [*(f"{layer}_foreground" for layer in again), "pixels", *CANONICAL]
    for layer, values in CANONICAL.items():
        np.testing.assert_allclose(got[layer], values, rtol=2e-3, atol=2e-3, err_msg=layer)


def test_a_cut_graph_gives_the_same_and_costs_less() -> None:
    whole = OpenVinoRuntime("efficientnet_lite0")
    images = list(enumerate(smooth_pictures(224)))
    for (_, a), (_, b) in zip(whole.stream(images), whole.stream(images, ["stem"]), strict=True):
        assert a is not None
        assert b is not None
        assert list(b) == ["stem"]
        np.testing.assert_allclose(a["stem"], b["stem"], rtol=1e-4, atol=1e-5)

    def operations(layers: tuple[str, ...]) -> int:
        return len(whole._compile(layers).get_runtime_model().get_ops())

    assert operations(("stem",)) < operations(tuple(x.name for x in whole.config.layers)) / 4


def test_features_do_not_depend_on_the_neighbours_and_holes_keep_their_place() -> None:
    runtime = OpenVinoRuntime("efficientnet_lite0")
    one, two, three = smooth_pictures(224)
    alone = {i: dict(runtime.stream([(i, image)]))[i] for i, image in enumerate((one, two, three))}
    stream = [(5, None), (0, one), (6, None), (1, two), (2, three), (7, None)]
    together = list(runtime.stream(stream))
    assert [key for key, _ in together] == [5, 0, 6, 1, 2, 7]
    for key, features in together:
        if key > 4:
            assert features is None
            continue
        assert features is not None
        for layer, values in features.items():
            assert np.array_equal(values, alone[key][layer])  # type: ignore[index]


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match="auto, cpu or cuda, got 'tpu'"):
        load_runtime("efficientnet_lite0", device="tpu")
    with pytest.raises(InputError, match="no layer 'neck'"):
        list(load_runtime("efficientnet_lite0", device="cpu").stream([], ["neck"]))
    with pytest.raises(BackboneError, match="no such file"):
        load_runtime("resnet50", "nowhere.safetensors", device="cpu")


def test_a_warm_start_imports_no_torch_and_phones_nobody() -> None:
    OpenVinoRuntime("efficientnet_lite0")
    code = """
import socket, sys, urllib.request
def refuse(*args, **kwargs):
    raise SystemExit("something wanted the network")
socket.socket.connect = urllib.request.urlopen = refuse
import numpy as np
from gingham.backbones.openvino import OpenVinoRuntime
runtime = OpenVinoRuntime("efficientnet_lite0")
list(runtime.stream([(0, np.zeros((224, 224, 3), np.uint8))]))
loaded = [m for m in ("torch", "timm", "openvino_telemetry") if sys.modules.get(m)]
assert not loaded, loaded
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_damaged_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path))
    weights = weights_of("test_resnet", tmp_path / "w.safetensors")
    OpenVinoRuntime("test_resnet", weights)
    (config,) = tmp_path.glob("test_resnet-*/config.json")
    config.write_text("{")
    with pytest.raises(BackboneError, match="delete it"):
        OpenVinoRuntime("test_resnet", weights)


def test_a_part_of_the_features_is_the_same_with_descriptors_or_without(tmp_path: Path) -> None:
    weights = weights_of("test_resnet", tmp_path / "w.safetensors")
    whole = TorchRuntime("test_resnet", weights, device="cpu", descriptors=("fc", "conv", "rgb"))
    images = list(enumerate(smooth_pictures(whole.config.preprocess.size, 2)))
    for layers in (
        ["stage2"],
        ["conv"],
        ["stage1", "fc"],
        ["rgb"],
        ["pixels"],
        ["pixels", "stage1"],
    ):
        both = zip(whole.stream(images), whole.stream(images, layers), strict=True)
        for (_, a), (_, b) in both:
            assert a is not None
            assert b is not None
            assert list(b) == layers
            for layer in layers:
                np.testing.assert_allclose(a[layer], b[layer], rtol=1e-4, atol=1e-5)


def test_threads_may_share_a_runtime() -> None:
    images = smooth_pictures(224, 8)

    def read(runtime: OpenVinoRuntime, image: np.ndarray) -> list[np.ndarray]:
        ((_, features),) = runtime.stream([(0, image)])
        assert features is not None
        return [*features.values(), *runtime.maps(image, ["stem", "head"]).values()]

    alone = OpenVinoRuntime("efficientnet_lite0")
    expected = [read(alone, image) for image in images]
    shared = OpenVinoRuntime("efficientnet_lite0")
    before = locale.setlocale(locale.LC_ALL)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda image: read(shared, image), images))
    assert locale.setlocale(locale.LC_ALL) == before
    for ours, theirs in zip(got, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert np.array_equal(a, b)


def test_images_of_any_shape_do_not_depend_on_their_neighbours() -> None:
    # The second and third have no graph of their own.
    shapes = [(192, 256), (256, 160), (416, 128), (192, 256)]
    images = smooth_shapes(shapes)
    reading = Reading("whole")
    alone = [
        dict(OpenVinoRuntime("efficientnet_lite0", reading=reading).stream([(0, image)]))[0]
        for image in images
    ]
    runtime = OpenVinoRuntime("efficientnet_lite0", reading=reading)
    stream = [(0, images[0]), (9, None), *((i, images[i]) for i in (1, 2, 3, 0, 2, 1))]
    for key, features in runtime.stream(stream):
        if key == 9:
            assert features is None
            continue
        expected = alone[key]
        assert features is not None
        assert expected is not None
        for layer, values in features.items():
            assert np.array_equal(values, expected[layer])


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("150000 100000", 2),
        ("400000 100000", 4),
        ("20000 100000", 1),
        ("6400000 100000", 8),
        ("max 100000", 8),
        (None, 8),
    ],
)
def test_the_cores_are_those_of_the_affinity_and_of_the_quota(
    quota: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr("gingham.backbones.runtime.QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert cpu_count() == cores
