"""Ray on one machine as on several: the catalogue of many workers is that of one process.

    python benchmarks/cluster.py [--images 4000] [--reference FOLDER] [--steps local one two kills]
    python benchmarks/cluster.py --steps core data --images 2000

Images of ../shared/data/fashion_products are put in a bucket of moto's server and indexed from
there into another place of it. `local` does so in one process, `one` and `two` on clusters of one
and two nodes with one CPU each. `kills` kills a worker with -9, then the command, and runs it
again. `core` has one worker with all CPUs read them, and `data` the same as a stage of Ray Data
(it needs ray[data]).

All features are compared, bit for bit, with those of a catalogue in FOLDER, which is made first
from the files themselves, in one process. Prints images a second by the clock, and processor
seconds and peak memory (VmHWM) of each worker and of the command.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from measure import DATA, GINGHAM

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

STEPS = ("local", "one", "two", "kills", "data", "core")
CLOCK = os.sysconf("SC_CLK_TCK")


class Watch:
    """Looks at processes while something runs: their peak memory and their processor time."""

    def __init__(self, *pids: int) -> None:
        self.seen: dict[int, tuple[str, float, float]] = {}
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for pid in [*named("ray::"), *named("raylet"), *self._pids]:
                with contextlib.suppress(OSError, ValueError, LookupError):
                    self.seen[pid] = usage(pid)

    def close(self) -> None:
        """Print what was seen."""
        self._over.set()
        self._thread.join()
        for pid, (name, seconds, peak) in sorted(self.seen.items()):
            print(f"    {name} {pid}: {seconds:.1f} s of processor time, peak {peak:.0f} MB")


def usage(pid: int) -> tuple[str, float, float]:
    """Give a name, the processor seconds and the peak MB of a process."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    said = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    name = said.split("(")[0] if said.startswith("ray::") else Path(said).name
    seconds = (int(fields[11]) + int(fields[12])) / CLOCK
    return name, seconds, int(status["VmHWM"].split()[0]) / 1000


def named(name: str) -> list[int]:
    """List the processes whose command line begins with a name, with or without a path."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit():
                said = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                if said.startswith(name) or said.endswith(f"/{name}"):
                    found.append(int(folder.name))
    return found


def workers() -> list[int]:
    """List the processes that are actors of gingham's."""
    return named("ray::ClusterWorker")


@contextlib.contextmanager
def nodes(count: int) -> Iterator[str]:
    """Start a cluster whose head has no CPU, and nodes with one each; gives its address."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    for _ in range(count):
        cluster.add_node(num_cpus=1, object_store_memory=128 << 20)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def index(shop: str, photos: str, *options: str) -> subprocess.Popen[str]:
    command = [GINGHAM, "index", shop, photos, "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], images: int) -> None:
    watch, started = Watch(process.pid), time.perf_counter()
    said, _ = process.communicate()
    seconds = time.perf_counter() - started
    found = json.loads(said)
    print(
        f"    {found['images']} images, {found['failed']} failed; {images / seconds:.0f} a second, "
        f"{seconds:.0f} s with starting"
    )
    watch.close()


def vectors(shop: str) -> dict[str, bytes]:
    """Give file -> all its features."""
    from gingham.catalogue import Catalogue

    with Catalogue.open(shop) as opened:
        truth = opened._truth
        files = dict(truth.locations.file_ids())
        blocks = truth.features.get(list(files.values()))
        joined = np.concatenate(list(blocks.values()), axis=1)
        rows = sum(
            len(truth.features._shards.table(x, ["id"])) for x in truth.features._shards.names()
        )
        print(
            f"    {len(files)} files, {len(truth.features)} images, {rows} rows in "
            f"{len(truth.features._shards.names())} shards; {opened.verify() or 'sound'}"
        )
    return {Path(name).name: row.tobytes() for name, row in zip(files, joined, strict=True)}


def kills(shop: str, photos: str, address: str, images: int) -> None:
    """Kill a worker, then the command, each once about a third and two thirds are read."""
    from gingham.store.site import files_at

    def shards() -> int:
        return len(files_at(shop).list("features/"))

    process = index(shop, photos, "--ray", address)
    watch = Watch(process.pid)
    while shards() < 2:
        time.sleep(0.2)
    victim = workers()[0]
    os.kill(victim, signal.SIGKILL)
    print(f"    worker {victim} killed after {shards()} shards")
    while shards() < 5:
        time.sleep(0.2)
    process.kill()
    process.communicate()
    print(f"    command killed after {shards()} shards")
    while workers():
        time.sleep(0.2)
    watch.close()
    finish(index(shop, photos, "--ray", address, "--wait", "60"), images)


def in_process(kind: str, photos: str, shop: str, images: int) -> None:
    """Read on one worker from this process, by Ray Data or as gingham does."""
    import ray

    from gingham.catalogue import Catalogue
    from gingham.cluster.connection import connected
    from gingham.cluster.worker import ClusterWorker, WorkerPlan
    from gingham.object_storage import list_objects

    names = [str(name) for name in list_objects(photos)]
    with Catalogue.create(shop) as made, connected("local"):
        watch, started = Watch(os.getpid()), time.perf_counter()
        if kind == "core":
            made.index([photos], cluster="local")
        else:
            from ray.data import ActorPoolStrategy, DataContext

            DataContext.get_current().enable_progress_bars = False
            plan = WorkerPlan(shop, made.config, None, 100_000_000)

            class Stage:
                def __init__(self) -> None:
                    self.worker = ClusterWorker(plan, np.empty(0, "S32"), 2)
                    self.worker.prepare()

                def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
                    done = self.worker.read([str(x) for x in batch["item"]])
                    return {"id": np.array([one.id for one in done], object)}

            stage = ray.data.from_items(names).map_batches(
                Stage, batch_size=512, compute=ActorPoolStrategy(size=1), num_cpus=2
            )
            print("   ", sum(len(batch["id"]) for batch in stage.iter_batches()), "rows")
        seconds = time.perf_counter() - started
        print(f"    {images / seconds:.0f} images a second, {seconds:.0f} s")
        watch.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS[:4])
    asked = parser.parse_args()
    import s3
    from gingham.temporary import TemporaryFolder

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with s3.serving() as server:
        os.environ.update(s3.environment(server))
        bucket = s3.new_bucket(server)
        photos = f"s3://{bucket}/photos"
        files = s3.files_at(photos, server)
        paths = sorted((DATA / "fashion_products" / "images").iterdir())[: asked.images]

        def put(path: Path) -> None:
            files.put(path.name, lambda file: file.write(path.read_bytes()))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, paths))
        temporary = TemporaryFolder()
        folder = asked.reference or temporary.path / "reference"
        if not folder.exists():
            subprocess.run(
                [GINGHAM, "index", folder, "-"],
                input="\n".join(map(str, paths)),
                check=True,
                text=True,
            )
        expected = vectors(str(folder))
        print(flush=True)
        for step in asked.steps:
            shop = f"s3://{bucket}/{step}"
            print(f"{step}: load {os.getloadavg()[0]:.1f}", flush=True)
            if step == "local":
                finish(index(shop, photos), len(paths))
            elif step in ("data", "core"):
                in_process(step, photos, shop, len(paths))
            else:
                with nodes(1 if step == "one" else 2) as address:
                    if step == "kills":
                        kills(shop, photos, address, len(paths))
                    else:
                        finish(index(shop, photos, "--ray", address), len(paths))
            if step == "data":  # it writes no locations
                continue
            found = vectors(shop)
            print(f"    features as in one process: {found == expected}", flush=True)


if __name__ == "__main__":
    main()
