"""Who makes the parts: one process, two plain ones (`split`), two workers of Ray; and workers that are killed.

Run: `python benchmarks/engines.py [IMAGES]`, by default 200 images in each of three sets, on two cores.
The images are those of `score_extraction.py`, through the same network, with one thread in each process. Starting a
process is not counted, building the network is. Afterwards a Ray worker is killed with SIGKILL at a random moment, five
times: the stored outputs must be those of one process, byte by byte. So must the tables that come of these outputs,
while another worker is killed: scores of images by a detector that learns, and metrics of the pixels of some frames.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import frames
import pandas as pd
import score_extraction
import torch
from score_extraction import SETS, networks, render
from timing import table

from scaling_ood.datasets import RecordedDataset, ShardsDataset
from scaling_ood.engines import Engine, Local, Ray, Split
from scaling_ood.evaluation.chunks import ImageOutputs, SceneOutputs, seed_name
from scaling_ood.evaluation.passes import ImagePass
from scaling_ood.evaluation.scene_parts import FittedDetectors, plan_measures
from scaling_ood.evaluation.scoring import score_images
from scaling_ood.images import Loading
from scaling_ood.models import Forward, architecture
from scaling_ood.parameters.common import PixelReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Measured, Quality
from scaling_ood.products.stored import HeldShards, StoredShards

SHARD, FRAMES, KILLS, ROUNDS = 25, 8, 5, 3
SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Noted:
    """A maker that leaves a file with the number of each process that it works in."""

    make: ImagePass
    folder: str

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        """As the maker."""
        (Path(self.folder) / str(os.getpid())).touch()
        yield from self.make(missing)


def save(engine: Engine, plan: Plan[Any], folder: Path) -> float:
    """Seconds that an engine takes."""
    dataset = ShardsDataset(filepath=str(folder))
    dataset.engine = engine
    started = time.perf_counter()
    dataset.save(plan)
    return time.perf_counter() - started


def beside(number: int, plan: Plan[Any], first: Path, folder: Path, gate: Any) -> None:
    """One of two plain processes: ready after a part, then at work when both are."""
    torch.set_num_threads(1)
    save(Local(), Plan(plan.parts[:1], plan.make), first / str(number))
    gate.wait()
    save(Split(number, 2), plan, folder)


def two_processes(plan: Plan[Any], folder: Path) -> float:
    """Seconds that two of them take."""
    gate = SPAWN.Barrier(3)
    given = [(number, plan, folder / "first", folder / "split", gate) for number in (1, 2)]
    processes = [SPAWN.Process(target=beside, args=each) for each in given]
    for each in processes:
        each.start()
    gate.wait()
    started = time.perf_counter()
    for each in processes:
        each.join()
    return time.perf_counter() - started


def fit_view(outputs: StoredShards, method: Method, seed: int) -> ImageOutputs:
    """What a detector learns from."""
    return ImageOutputs(outputs, "fit", seed_name(seed), method.needs)


def frames_in_shards(folder: Path) -> tuple[Manifest, HeldShards]:
    """The frames of `frames.py`, each in a shard of its own."""
    frames.make_scenes(folder, FRAMES)
    manifest, outputs, _ = frames.prepared(folder)
    held, name = outputs.shards["test-00000"], "seed0/logits/0"
    shards = {f"test-{number:05d}": {f"00000/{name}": held[f"{number:05d}/{name}"]} for number in range(FRAMES)}
    parts: Any = {shard: {"items": 1, "seconds": 1.0} for shard in shards}
    return manifest, HeldShards(NOT_MADE, outputs.about, parts, Path(), shards)


def tables(
    engine: Engine, folder: Path, images: tuple[Manifest, StoredShards], scenes: tuple[Manifest, HeldShards]
) -> list[pd.DataFrame]:
    """What an engine makes of stored outputs."""
    method, (manifest, outputs) = Method("kl_matching", "kl_matching"), images
    quality, runtime = Quality("top1", 1.0), RuntimeSpec(device="cpu")
    view = partial(fit_view, outputs)
    scores = score_images(method, outputs, quality, manifest, ["test", "unseen"], view, runtime)
    detector = FittedDetectors(Method("msp", "msp"), lambda *_: SceneOutputs(scenes[1], scenes[0], "test", "seed0"),
                               scenes[0], Forward("cpu"))  # fmt: skip
    pixels = plan_measures(detector, *scenes[::-1], PixelReportingSpec(), Forward("cpu"), [0], Measured)
    found = []
    for name, plan in {"scores": scores, "pixels": pixels}.items():
        dataset = RecordedDataset(filepath=str(folder / name))
        dataset.engine = engine
        dataset.save(replace(plan, origin=Origin(name)))
        found.append(dataset.load())
    return [found[0].frame, found[1].results, found[1].metrics]


def killed(work: Callable[[], Any], notes: Path, after: float) -> Any:
    """Have Ray do some work, and kill one of its workers after some seconds."""

    def kill() -> None:
        time.sleep(after)
        while not (alive := [int(each.name) for each in notes.iterdir() if Path(f"/proc/{each.name}").exists()]):
            if over.wait(0.05):  # Those that are noted were killed before.
                return
        os.kill(random.choice(alive), signal.SIGKILL)

    over = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        done = work()
    finally:
        over.set()
        killer.join()
    return done


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every stored shard."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


def main(images: int) -> None:
    """Print images per second of each engine, and what came of the kills."""
    torch.set_num_threads(1)
    score_extraction.IMAGES = images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes, photographs = folder / "notes", folder / "photographs"
        notes.mkdir()
        photographs.mkdir()
        preprocessing = architecture("efficientnet_lite0").preprocessing.at(score_extraction.INPUT_PX)
        make = ImagePass(
            render(photographs), networks, ("logits", "features"), Forward("cpu"), torch.float32, SHARD,
            "multi_class", "the network", preprocessing, Loading(SHARD, 0),
        )  # fmt: skip
        about = {"seeds": [0], "device": "cpu"}
        plan = Plan(make.parts(SETS), Noted(make, str(notes)), about, Origin("key"))
        ray = Ray("cpu", cores_each=1)
        save(ray, Plan(plan.parts[:2], plan.make), folder / "first")
        seconds: dict[str, list[float]] = {}
        for number in range(ROUNDS):
            place = folder / str(number)
            seconds.setdefault("one process", []).append(save(Local(), plan, place / "local"))
            seconds.setdefault("two processes, split", []).append(two_processes(plan, place))
            seconds.setdefault("two workers of Ray", []).append(save(ray, plan, place / "ray"))
        median = {name: sorted(each)[len(each) // 2] for name, each in seconds.items()}
        rate = {name: len(SETS) * images / each for name, each in median.items()}
        plain = rate["two processes, split"]
        rows = [(name, f"{each:.1f}", f"{each / plain:.2f}") for name, each in rate.items()]
        print(table(("median of three", "images/s", "of two processes"), rows))
        whole = bytes_of(folder / "0" / "local")
        same = [bytes_of(folder / "0" / each) == whole for each in ("split", "ray")]
        print(f"split and Ray leave what one process leaves: {same}")
        scenes = frames_in_shards(folder / "frames")
        outputs = ShardsDataset(filepath=str(folder / "0" / "local"))
        expected = tables(Local(), folder / "local", (make.manifest, outputs.load()), scenes)
        started = time.perf_counter()
        tables(ray, folder / "ray", (make.manifest, outputs.load()), scenes)
        took = time.perf_counter() - started
        moments = random.Random(0)
        for number in range(KILLS):
            for each in notes.iterdir():
                each.unlink()
            place, share = folder / f"killed{number}", moments.uniform(0.2, 0.8)
            killed(lambda place=place: save(ray, plan, place), notes, share * median["two workers of Ray"])
            own = make.manifest, ShardsDataset(filepath=str(place)).load()
            found = killed(lambda own=own, place=place: tables(ray, place / "tables", own, scenes), notes, share * took)
            same = [one.equals(other) for one, other in zip(found, expected, strict=True)]
            print(f"workers killed after {share:.0%}: outputs {bytes_of(place) == whole}, tables {same}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
