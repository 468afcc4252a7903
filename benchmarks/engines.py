"""Who makes the parts: one process, two plain ones (`split`), two workers of Ray; and workers that are killed.

Run: `python benchmarks/engines.py [IMAGES]`, by default 200 images in each of three sets, on two cores.
The images are those of `score_extraction.py`, through the same network, with one thread in each process. Starting a
process is not counted, building the network is. Afterwards a Ray worker is killed with SIGKILL at a random moment, five
times: the stored outputs must be those of one process, byte by byte.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import score_extraction
import torch
from score_extraction import SETS, networks, render
from timing import table

from scaling_ood.datasets import ShardsDataset
from scaling_ood.engines import Engine, Local, Ray, Split
from scaling_ood.evaluation.passes import ImagePass
from scaling_ood.images import Loading
from scaling_ood.models import Forward, architecture
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan

SHARD, KILLS, ROUNDS = 25, 5, 3
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


def killed(engine: Ray, plan: Plan[Any], notes: Path, folder: Path, after: float) -> None:
    """Have Ray make the plan, and kill one of its workers after some seconds."""

    def kill() -> None:
        time.sleep(after)
        os.kill(int(random.choice([each.name for each in notes.iterdir()])), signal.SIGKILL)

    for each in notes.iterdir():
        each.unlink()
    killer = threading.Thread(target=kill)
    killer.start()
    save(engine, plan, folder)
    killer.join()


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
        plan = Plan(make.parts(SETS), Noted(make, str(notes)), {}, Origin("key"))
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
        moments = random.Random(0)
        for number in range(KILLS):
            after = moments.uniform(0.2, 0.8) * median["two workers of Ray"]
            killed(ray, plan, notes, folder / f"killed{number}", after)
            print(f"a worker killed after {after:.1f} s: {bytes_of(folder / f'killed{number}') == whole}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
