"""How near `gingham index` comes to what the machine can do: images a second, and GFLOP/s.

The same network (the default one, all layers, pooled) bare in OpenVINO, as `gingham index` compiles
it; in torch; in ONNX Runtime, if `onnx` and `onnxruntime` are installed; and `gingham index` whole,
of so many files. Beside them a network of the size of CLIP's ViT-B/32 with random weights, and the
rate at which the machine multiplies matrices. The bare networks get images that are ready. All in
turns, in one run.

torch says what it thinks of converting: `python -W ignore` keeps it quiet.

Usage: hardware.py [--seconds 10] [--rounds 2] [--images FOLDER] [--counts 1000 4000]
    [--precisions float32 bfloat16]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vit_b_32

from gingham.backbones.builders import build_network
from gingham.backbones.openvino import OpenVinoRuntime
from gingham.backbones.runtime import cpu_count
from gingham.backbones.table import DEFAULT_BACKBONE
from measure import DATA, GINGHAM, machine, run

Work = Callable[[], int]
"""Does some work, and gives how many images or multiplications it was."""

SIDE, BATCH, WIDE = 224, 16, 2048
PICTURES = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)


def rate(work: Work, seconds: float) -> float:
    """Give what it does a second; the first call has no clock."""
    work()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        done += work()
    return done / (time.perf_counter() - started)


def multiplying(with_openvino: bool) -> Work:
    """Multiply two matrices; counts GFLOP."""
    one, other = np.random.default_rng(1).random((2, WIDE, WIDE), np.float32)
    flops = 2 * WIDE**3 / 1e9
    if not with_openvino:
        return lambda: (one @ other, flops)[1]  # type: ignore[return-value]
    given = ov.opset13.parameter([WIDE, WIDE], ov.Type.f32)
    product = ov.opset13.matmul(given, ov.opset13.constant(other), False, False)
    request = ov.Core().compile_model(
        ov.Model([product], [given]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda: (request({0: one}), flops)[1]  # type: ignore[return-value]


def streamed(runtime: OpenVinoRuntime) -> Work:
    """Run a network as `gingham index` does."""
    return lambda: sum(1 for _ in runtime.stream(enumerate(PICTURES)))


def queued(model: Any) -> Work:
    """Run a network bare in OpenVINO, a stream a core, results left where they are."""
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    streams = {"NUM_STREAMS": str(cpu_count()), "INFERENCE_NUM_THREADS": str(cpu_count())}
    compiled = ov.Core().compile_model(model, "CPU", hints | streams)
    queue = ov.AsyncInferQueue(compiled)
    (given,) = compiled.inputs
    single = given.partial_shape[0].get_length() == 1
    pictures = PICTURES if given.element_type == ov.Type.u8 else vit_input().numpy()
    images = [image[None] for image in pictures] if single else [pictures]

    def work() -> int:
        for image in images:
            queue.start_async({0: image}, share_inputs=True)
        queue.wait_all()
        return BATCH

    return work


def vit_input() -> torch.Tensor:
    return torch.from_numpy(PICTURES).permute(0, 3, 1, 2).float() / 255


def in_torch(network: Any, images: torch.Tensor) -> Work:
    def work() -> int:
        with torch.inference_mode():
            network(images)
        return BATCH

    return work


def in_onnx_runtime(network: Any, folder: Path) -> Work | None:
    """Run the network in ONNX Runtime, all cores for an image; None where it is not installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    given = torch.from_numpy(PICTURES[:1])
    torch.onnx.export(network, (given,), folder / "network.onnx", dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_count()
    session = onnxruntime.InferenceSession(folder / "network.onnx", options)
    name = session.get_inputs()[0].name
    return lambda: len([session.run(None, {name: image[None]}) for image in PICTURES])


def indexing(files: list[str], folder: Path, precision: str) -> Work:
    """Index files from the beginning to the end: a process that starts, reads, and ends."""
    catalogues = (folder / f"{len(files)}-{precision}-{number}" for number in range(1_000_000))

    def work() -> int:
        given = ("-", "--precision", precision)
        run(GINGHAM, "index", next(catalogues), *given, stdin="\n".join(files))
        return len(files)

    return work


def some(folder: Path, count: int, own: Path) -> list[str]:
    """List so many files; if there are fewer, others of the same pictures are written."""
    found = sorted(folder.rglob("*.jpg"))[:count]
    return [str(path) for path in found] + [str(path) for path in written(found, count, own)]


def written(found: list[Path], count: int, own: Path) -> Iterator[Path]:
    own.mkdir(exist_ok=True)
    for number in range(len(found), count):
        path = own / f"{number}.jpg"
        # What follows the end of a JPEG does not change its picture.
        path.write_bytes(found[number % len(found)].read_bytes() + str(number).encode())
        yield path


def main(
    seconds: float, rounds: int, images: Path, counts: list[int], precisions: list[str]
) -> None:
    print(machine())
    torch.set_num_threads(cpu_count())
    network, _ = build_network(DEFAULT_BACKBONE)
    runtime = OpenVinoRuntime(DEFAULT_BACKBONE)
    torch.backends.mha.set_fastpath_enabled(False)  # it cannot be converted
    vit = vit_b_32().eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        network(torch.from_numpy(PICTURES))
    own = counted.get_total_flops() / BATCH / 1e9
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        vit(vit_input())
    large = counted.get_total_flops() / BATCH / 1e9
    print(f"GFLOP an image: {own:.2f}; of the size of CLIP ViT-B/32: {large:.2f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        converted = ov.convert_model(vit, example_input=vit_input(), input=[BATCH, 3, SIDE, SIDE])
        works: dict[str, tuple[Work | None, float]] = {
            "matrices, NumPy (GFLOP/s)": (multiplying(False), 1),
            "matrices, OpenVINO (GFLOP/s)": (multiplying(True), 1),
            "bare OpenVINO": (queued(runtime._features(tuple(runtime.config.widths), None)), own),
            "through gingham's runtime": (streamed(runtime), own),
            "torch, batches of 16": (in_torch(network, torch.from_numpy(PICTURES)), own),
            "ONNX Runtime": (in_onnx_runtime(network, folder), own),
            "ViT-B/32, OpenVINO": (queued(converted), large),
            "ViT-B/32, torch": (in_torch(vit, vit_input()), large),
        }
        rates: dict[str, list[float]] = {what: [] for what in works}
        wholes = {
            f"gingham index, {n:,} files, {precision}": (
                n,
                indexing(some(images, n, folder / "more"), folder, precision),
            )
            for n in counts
            for precision in precisions
        }
        for precision in precisions:
            indexing(some(images, 1, folder / "more"), folder, precision)()  # converts the network
        rates |= {what: [] for what in wholes}
        for _ in range(rounds):
            for what, (work, _) in works.items():
                if work is not None:
                    rates[what].append(rate(work, seconds))
            for what, (count, whole) in wholes.items():
                started = time.perf_counter()
                whole()
                rates[what].append(count / (time.perf_counter() - started))
    middle = {what: statistics.median(found) for what, found in rates.items() if found}
    limit = max(middle[what] for what in list(works)[:2])
    for what, found in middle.items():
        work_of = 1 if "GFLOP" in what else large if "ViT" in what else own
        print(
            f"{what}: {found:.1f} a second ({', '.join(f'{one:.1f}' for one in rates[what])}), "
            f"{found / middle['bare OpenVINO']:.2f} of the bare network's images, "
            f"{found * work_of / limit:.2f} of the limit"
            if "GFLOP" not in what
            else f"{what}: {found:.0f} ({', '.join(f'{one:.0f}' for one in rates[what])})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=Path, default=DATA / "colour_texture")
    parser.add_argument("--counts", type=int, nargs="*", default=[1000, 4000])
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    given = parser.parse_args()
    main(given.seconds, given.rounds, given.images, given.counts, given.precisions)
