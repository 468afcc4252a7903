"""The workers of a Ray cluster make the parts: an existing cluster, or one that is started on this machine."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scaling_ood.cores import usable_cores
from scaling_ood.engines.engine import Store
from scaling_ood.engines.ray_train import Shape, train_together
from scaling_ood.optional import library
from scaling_ood.products.plans import Part, Plan
from scaling_ood.training.ranks import Run, together

USUAL_CORES = 4
"""Of a worker where there is no GPU."""

MOST_LOSSES = 3
"""Workers that may be lost while they make the same part, or before they have begun: the next one would be lost too."""

PATIENCE = 60.0
"""Seconds until it is said that no worker has started, and in which what a worker has stored must be seen here."""

MOST_SECONDS = 10.0
"""Until a cluster must answer."""

_logger = logging.getLogger(__name__)


class LostWorkersError(RuntimeError):
    """Worker after worker is lost, or what they store is not seen here."""


class Worker:
    """Holds a plan, with its networks, in a process of the cluster."""

    def __init__(self, folder: str, threads: int) -> None:
        """Be ready for plans.

        Args:
            folder: Of the run, which names of files may be relative to.
            threads: That PyTorch and NumPy may use: the last bits of their sums depend on it.
        """
        import numpy  # noqa: F401 - loads what is limited
        import scipy.linalg  # noqa: F401
        import torch
        from threadpoolctl import threadpool_limits

        os.chdir(folder)
        torch.set_num_threads(threads)
        threadpool_limits(threads)
        # What decodes for this worker has its cores alone.
        os.environ["LOCAL_WORLD_SIZE"] = str(max(1, usable_cores() // threads))

    def hold(self, work: tuple[Store, Plan[Any]] | None) -> None:
        """Take over a plan, and where its parts are stored; None lets go of the last one."""
        self._work = work

    def make(self, parts: Sequence[Part]) -> Iterator[str]:
        """Make and store parts of the plan; gives the name of each that is stored."""
        if self._work is None:
            return
        store, plan = self._work
        for part in store.make(plan, parts):
            yield part.name


@dataclass(frozen=True)
class Ray:
    """A worker for each GPU, or for so many cores, holds the networks; parts go to whichever worker is free.

    A worker stores what it makes itself, since it must see the same folders as this process anyway to read the images:
    nothing but names of parts passes through the driver, and what is stored stays when the driver is lost.

    Attributes:
        device: As in `runtime.device`; `cpu` asks for no GPU.
        address: Of a cluster; None starts one here.
        cores_each: Cores of a worker.
        idle: Workers that wait for the next plan: to start a process takes seconds.
    """

    stores: ClassVar[bool] = True
    collects: ClassVar[bool] = True

    device: str = "auto"
    address: str | None = None
    cores_each: int | None = None
    idle: list[Any] = field(default_factory=list, compare=False)

    def mine(self, parts: Sequence[Part]) -> Sequence[Part]:
        """All."""
        return parts

    def make(self, store: Store, plan: Plan[Any], parts: Sequence[Part]) -> Iterator[Part]:
        """As `Engine.make`.

        Raises:
            LostWorkersError: A part cannot be made by any worker, or no worker starts.
            ValueError: No machine of the cluster has room for a worker.
        """
        ray = connected(self.address)
        shape = shape_of(ray.nodes(), self.device, self.cores_each)
        crew = _Crew(ray, shape, ray.put((store, plan)), deque(parts), self.idle)
        try:
            yield from crew.parts()
        finally:
            crew.dismiss()
        _make_sure_it_is_seen(store, plan)

    def train(self, run: Run, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """As `Engine.train`: by a worker for each GPU, through Ray Train.

        Where the cluster has no GPU this process trains: the same bits as without Ray.

        Raises:
            ValueError: No machine of the cluster has room for a worker.
        """
        ray = connected(self.address)
        shape = shape_of(ray.nodes(), self.device, self.cores_each)
        if not shape.gpus:
            return together(run, state)
        while self.idle:  # They hold the GPUs that the training needs.
            ray.kill(self.idle.pop())
        return train_together(ray, shape, run, state)


def connected(address: str | None) -> Any:
    """The package `ray`, connected to a cluster, for the rest of the process.

    Raises:
        MissingLibraryError: It is not installed.
        ConnectionError: There is no cluster at the address, or the token is not the cluster's.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:  # Ray makes a token, and keeps it in the home folder
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    ray = library("ray", "runtime.engine: ray")
    if not ray.is_initialized():
        local = {"address": "local", "include_dashboard": False}
        given = local if address is None else {"address": address}
        try:
            _make_sure_that_something_answers(address)
            ray.init(**given, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
        except (OSError, ray.exceptions.RayError) as error:
            raise ConnectionError(
                f"runtime.address: no Ray cluster answers at {address}, or its token is not the one given here "
                f"(RAY_AUTH_MODE, RAY_AUTH_TOKEN or ~/.ray/auth_token): {error}"
            ) from error
    return ray


def _make_sure_that_something_answers(address: str | None) -> None:
    """Ray would try for minutes."""
    if address not in (None, "auto"):
        host, _, port = str(address).rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), MOST_SECONDS).close()


def shape_of(nodes: Sequence[Mapping[str, Any]], device: str, cores_each: int | None) -> Shape:
    """What each worker gets on a cluster.

    Args:
        nodes: As `ray.nodes()` tells of them.
        device: As in `runtime.device`.
        cores_each: As in `runtime.cores_each`.

    Raises:
        ValueError: No machine has room for a worker.

    >>> node = {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 4.0}}
    >>> shape_of([node, node], "auto", None)
    Shape(cores=4, gpus=1, workers=8)
    >>> shape_of([node], "cpu", 5)
    Shape(cores=5, gpus=0, workers=3)
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cores = [int(each.get("CPU", 0)) for each in alive]
    gpus = [0 if device == "cpu" else int(each.get("GPU", 0)) for each in alive]
    if any(gpus):
        wanted = cores_each or max(1, min(each // some for each, some in zip(cores, gpus, strict=True) if some))
        room = [min(some, each // wanted) for each, some in zip(cores, gpus, strict=True)]
    else:
        wanted = cores_each or max(1, min([USUAL_CORES, *filter(None, cores)]))
        room = [each // wanted for each in cores]
    if not any(room):
        raise ValueError(
            f"runtime.cores_each: no machine of the Ray cluster has {wanted} cores for a worker "
            f"(it has {', '.join(map(str, cores)) or 'no machine'})"
        )
    return Shape(wanted, int(any(gpus)), sum(room))


@dataclass
class _Crew:
    """The workers of one plan, and what each is doing.

    Attributes:
        ray: The package.
        shape: What each worker gets.
        held: Reference to what each of them holds.
        queue: Parts that nobody is making.
        idle: Workers without a plan.
        starting: Reference that is there when a worker is up, to the worker.
        busy: A worker's stream of answers, to the worker and the parts that it has not answered yet.
        losses: Part, or None before any, to how many workers were lost at it.
    """

    ray: Any
    shape: Shape
    held: Any
    queue: deque[Part]
    idle: list[Any]
    starting: dict[Any, Any] = field(default_factory=dict)
    busy: dict[Any, tuple[Any, deque[Part]]] = field(default_factory=dict)
    losses: Counter[str | None] = field(default_factory=Counter)

    def parts(self) -> Iterator[Part]:
        """Have all parts made; gives each that is stored."""
        for _ in range(min(self.shape.workers, len(self.queue))):
            self._start()
        while self.queue or self.busy:
            found, _ = self.ray.wait([*self.busy, *self.starting], timeout=PATIENCE)
            if not found and not self.busy:
                _logger.warning("No Ray worker has started yet: %s free", self.ray.available_resources())
            for one in found:
                if one in self.starting:
                    self._is_up(one)
                elif part := self._answer(one):
                    yield part

    def dismiss(self) -> None:
        """End all workers that are not idle."""
        for worker in [*self.starting.values(), *(worker for worker, _ in self.busy.values())]:
            self.ray.kill(worker)

    def _start(self) -> None:
        options = {"num_cpus": self.shape.cores, "num_gpus": self.shape.gpus, "max_restarts": 0}
        made = self.ray.remote(**options)(Worker)
        worker = self.idle.pop() if self.idle else made.remote(os.getcwd(), self.shape.cores)
        self.starting[worker.hold.remote(self.held)] = worker

    def _is_up(self, reference: Any) -> None:
        worker = self.starting.pop(reference)
        try:
            self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            self._lost(worker, deque(), error)
        else:
            self.losses[None] = 0
            self._occupy(worker)

    def _occupy(self, worker: Any) -> None:
        """Give a free worker the next parts: many at first, so that a loader serves them; few at the end."""
        share = max(1, len(self.queue) // (2 * self.shape.workers))
        parts = deque(self.queue.popleft() for _ in range(min(share, len(self.queue))))
        if parts:
            stream = worker.make.options(num_returns="streaming").remote(list(parts))
            self.busy[stream] = worker, parts
        else:
            worker.hold.remote(None)
            self.idle.append(worker)

    def _answer(self, stream: Any) -> Part | None:
        """The part that a worker has stored; None where it has come to an end, or to its own."""
        worker, parts = self.busy[stream]
        try:
            name = self.ray.get(next(stream))
        except StopIteration:
            del self.busy[stream]
            if parts:
                raise RuntimeError(f"the maker left out {', '.join(part.name for part in parts)}") from None
            self._occupy(worker)
            return None
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            del self.busy[stream]
            self._lost(worker, parts, error)
            return None
        done = next(part for part in parts if part.name == name)
        parts.remove(done)
        return done

    def _lost(self, worker: Any, parts: deque[Part], error: Exception) -> None:
        """Give a lost worker's parts to others, and start another worker in its place."""
        self.ray.kill(worker)
        at = parts[0].name if parts else None
        self.losses[at] += 1
        if self.losses[at] >= MOST_LOSSES:
            where = f"while they made {at}" if at else "before they made anything"
            raise LostWorkersError(f"{MOST_LOSSES} Ray workers were lost {where}; the last one: {error}") from error
        _logger.warning("A Ray worker was lost; %d parts go to others", len(parts))
        self.queue.extendleft(reversed(parts))
        self._start()


def _make_sure_it_is_seen(store: Store, plan: Plan[Any]) -> None:
    """A shared file system may show after seconds what another machine has stored."""
    deadline = time.monotonic() + PATIENCE
    while absent := store.absent(plan):
        if time.monotonic() > deadline:
            raise LostWorkersError(
                f"{len(absent)} parts that Ray workers have stored are not seen here, such as {absent[0].name}: all "
                "machines of the cluster must share the project's folder, at the same place"
            )
        time.sleep(1)
