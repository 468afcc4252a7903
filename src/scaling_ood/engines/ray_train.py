"""Ray Train has the workers of a cluster train a network together; what they come to is kept by this process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from threading import Thread
from typing import Any, NamedTuple

from scaling_ood.optional import library
from scaling_ood.training.ranks import Run, joined


class Shape(NamedTuple):
    """What each worker gets.

    Attributes:
        cores: Processor cores.
        gpus: 0 or 1.
        workers: How many the cluster has room for.
    """

    cores: int
    gpus: int
    workers: int


def train_together(ray: Any, shape: Shape, run: Run, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Train with all workers; yields the state after each epoch, which the first of them sends.

    Args:
        ray: The package, connected.
        shape: What each worker gets.
        run: Picklable. All machines must see the files that it reads, at the same place.
        state: Where to go on.

    Raises:
        MissingLibraryError: Ray Train is not installed.
        Exception: What a worker raised.
    """
    train, queue = library("ray.train.torch", "training with runtime.engine: ray"), library("ray.util.queue", "Ray")
    states = queue.Queue(actor_options={"num_cpus": 0})
    given = {"folder": os.getcwd(), "threads": shape.cores, "run": run, "state": state, "states": states}
    options = {"num_workers": shape.workers, "use_gpu": bool(shape.gpus), "resources_per_worker": {"CPU": shape.cores}}
    failed: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix=".ray-train-", dir=os.getcwd()) as shared:
        trainer = train.TorchTrainer(
            _work,
            train_loop_config=given,
            torch_config=train.TorchConfig("cpu:gloo,cuda:nccl" if shape.gpus else "gloo"),
            scaling_config=ray.train.ScalingConfig(**options),
            run_config=ray.train.RunConfig(storage_path=shared),
        )
        thread = Thread(target=_fit, args=(trainer, failed), daemon=True)
        thread.start()
        while thread.is_alive() or not states.empty():
            try:
                yield states.get(timeout=1)
            except queue.Empty:
                continue
    states.shutdown()
    if failed:
        raise _cause(failed[0])


def _fit(trainer: Any, failed: list[BaseException]) -> None:
    try:
        trainer.fit()
    except Exception as error:
        failed.append(error)


def _cause(error: BaseException) -> BaseException:
    """What a worker raised, of what Ray Train makes of it."""
    raised = [*getattr(error, "worker_failures", {}).values()]
    return getattr(raised[0], "cause", None) or raised[0] if raised else error


def _work(given: Mapping[str, Any]) -> None:
    """What each worker does, in torch's process group of all of them."""
    import torch

    os.chdir(given["folder"])
    torch.set_num_threads(given["threads"])
    device = library("ray.train.torch", "Ray").get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    first = joined().share.rank == 0
    for state in given["run"](given["state"]):
        if first:
            given["states"].put(state)
