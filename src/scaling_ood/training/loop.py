"""The training loop: a complete state after every epoch, from which a training goes on bit by bit.

What differs between kinds of training is a `Lesson`: its batches, a step, an optimiser, a schedule and a validation.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import torch
from torch import nn

from scaling_ood.models import exact_float32
from scaling_ood.training.ranks import ALONE, Ranks, Share, current

Batch = TypeVar("Batch")
Merit = Callable[[Mapping[str, float]], float]
"""How good the epoch of a row of the history is: the best epoch has the highest."""

BestEpoch = Literal["validation", "last"]
"""Which epoch's weights are used: the best by its quality on the validation images, or the last as it comes."""

ResumableState = dict[str, Any]
"""Everything that a resumed training needs, of tensors, numbers, strings, lists and dicts only:

- `models`: `<network>.last` and `<network>.best` to state dict, of the finished networks and the current one;
- `current`: name of the network that was trained last, `epoch`: how many of its epochs are done;
- `optimiser`: the current optimiser's state dict, `extra`: numbers of the current training beside it;
- `merit`: of the current network's best epoch;
- `history`: one row per epoch, `variant, epoch, …`, whose variant is the network's name.
"""


class DivergedError(ArithmeticError):
    """A training whose loss is not a number any more."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every recipe says.

    Attributes:
        epochs: Of each network.
        batch_images: Images per step.
        learning_rate: The highest one.
        precision: `float32`, or `bf16` for automatic mixed precision.
    """

    epochs: int
    batch_images: int
    learning_rate: float
    precision: Literal["float32", "bf16"] = "float32"


class Step(NamedTuple):
    """What one step of a training comes to, of this process's share of it.

    Attributes:
        loss: Scalar; its mean over the processes is minimised, see `Ranks.weights`.
        shown: Quantity to a sum and what it is over; the history has the quotient of both over the epoch and all
            processes. A sum over nothing is 0.
    """

    loss: torch.Tensor
    shown: Mapping[str, tuple[float, float]]


class Lesson(ABC, Generic[Batch]):
    """One kind of training: what is learnt, from which images and how, for networks of any seed.

    What chance does to an epoch depends on seed and number of the epoch alone. Several processes do to images what one
    does; dropout and the coins of hints fall otherwise in each.

    Attributes:
        recipe: How to train.
        device: Where to.
        channels_last: Memory order of the network. Without it, PyTorch takes seconds for the gradient of one depthwise
            5 x 5 convolution on a processor.
    """

    recipe: Recipe
    device: torch.device
    channels_last: ClassVar[bool] = True

    @abstractmethod
    def optimiser(self, module: nn.Module) -> torch.optim.Optimizer:
        """A new optimiser of the module's parameters that are to be trained."""

    @abstractmethod
    def batches(self, seed: int, epoch: int, share: Share = ALONE.share) -> Iterable[Batch]:
        """What each step of an epoch, the first being 0, sees; of that the share of a process, which may be nothing."""

    @abstractmethod
    def step(self, module: nn.Module, batch: Batch, extra: Mapping[str, float], ranks: Ranks = ALONE) -> Step:
        """The loss of a batch; `extra` are the training's numbers beside its weights."""

    def after(self, extra: Mapping[str, float], means: Mapping[str, float]) -> Mapping[str, float]:  # noqa: ARG002
        """New values of `extra`, after a step of which this was shown, by all processes."""
        return {}

    def rate(self, epoch: int, step: int) -> float | None:  # noqa: ARG002
        """Learning rate of a step; None leaves the optimiser's own, for good."""
        return None

    @abstractmethod
    def measure(self, module: nn.Module, epoch: int) -> dict[str, float]:
        """What an epoch's row says beside the means over its steps: above all, the quality on validation images."""

    @property
    def merit(self) -> Merit | None:
        """Of an epoch's row; None: the last epoch is the best."""
        return None

    @property
    def extra(self) -> dict[str, float]:
        """Numbers beside the weights that change while training, as they are at its start."""
        return {}

    def outputs(self, module: nn.Module, inputs: Any) -> dict[str, torch.Tensor]:
        """What the module makes of its inputs, in the recipe's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            outputs: dict[str, torch.Tensor] = module(inputs)
        return outputs

    def begin(self, build: Callable[[], nn.Module], seed: int) -> Training[Batch]:
        """The training of one network, or of a head alone, before its first epoch.

        Args:
            build: Builds it, with its initial weights.
            seed: Of all that chance does while training.
        """
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        module = build().to(self.device).to(memory_format=order)
        ranks = current()
        whole = ranks.parallel(module, self.device)
        return Training(self, seed, module, self.optimiser(module), self.extra, ranks, whole)

    def train(
        self,
        build: Mapping[str, Callable[[], nn.Module]],
        seeds: Mapping[str, int],
        state: ResumableState | None = None,
    ) -> Iterator[ResumableState]:
        """Train networks on the same images, by name, one after the other; see `train`."""
        begin = {name: partial(self.begin, function, seeds[name]) for name, function in build.items()}
        yield from train(begin, self.recipe.epochs, self.merit, state)


@dataclass
class Training(Generic[Batch]):
    """The training of one network; what an epoch does depends on its number and on these alone.

    Attributes:
        lesson: What it learns.
        seed: Of all that chance does.
        module: What is trained.
        optimiser: What trains it.
        extra: Numbers that change while training.
        ranks: The processes that train it.
        parallel: What computes the module with all of them; None is the module.
    """

    lesson: Lesson[Batch]
    seed: int
    module: nn.Module
    optimiser: torch.optim.Optimizer
    extra: dict[str, float] = field(default_factory=dict)
    ranks: Ranks = ALONE
    parallel: nn.Module | None = None

    def epoch(self, number: int) -> dict[str, float]:
        """Train one epoch, the first being 0, and validate; returns the numbers of its row in the history."""
        sums: dict[str, tuple[float, float]] = {}
        self.module.train()
        with torch.random.fork_rng(devices=[self.lesson.device] if self.lesson.device.type == "cuda" else []):
            # Each process draws other numbers: the images of one are not dropped out as those of another.
            torch.manual_seed((self.ranks.share.rank << 40) + (self.seed << 20) + number)
            for step, batch in enumerate(self.lesson.batches(self.seed, number, self.ranks.share)):
                for quantity, (value, over) in self._step(batch, self.lesson.rate(number, step)).items():
                    total, count = sums.get(quantity, (0.0, 0.0))
                    sums[quantity] = total + value, count + over
        rate = self.optimiser.param_groups[0]["lr"]
        self.module.eval()
        with torch.inference_mode():
            measured = self.ranks.told(lambda: self.lesson.measure(self.module, number))
        means = {quantity: total / max(1.0, count) for quantity, (total, count) in sums.items()}
        return {**means, **self.extra, "learning_rate": rate, **measured}

    def _step(self, batch: Batch, rate: float | None) -> dict[str, tuple[float, float]]:
        if rate is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = rate
        with self.ranks.synchronised():
            step = self.lesson.step(self.parallel or self.module, batch, self.extra, self.ranks)
        self.optimiser.zero_grad(set_to_none=True)
        step.loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        shown = self._of_all(step.shown)
        means = {quantity: total / count for quantity, (total, count) in shown.items() if count}
        self.extra = {**self.extra, **self.lesson.after(self.extra, means)}
        return shown

    def _of_all(self, shown: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        sums = iter(
            self.ranks.sums([number for total, count in shown.values() for number in (total if count else 0.0, count)])
        )
        return dict(zip(shown, zip(sums, sums, strict=True), strict=True))


def train(
    begin: Mapping[str, Callable[[], Training[Any]]],
    epochs: int,
    merit: Merit | None,
    state: ResumableState | None = None,
) -> Iterator[ResumableState]:
    """Train networks one after the other.

    Args:
        begin: Name of a network to a function that begins its training.
        epochs: Of each network.
        merit: Of an epoch's row; the epoch of the highest is the best, the first of equals. None: the last one is.
        state: Where to go on; None starts from the beginning.

    Yields:
        The complete state after each epoch of each network.

    Raises:
        DivergedError: A number of an epoch, or a weight after it, is infinite or NaN.
    """
    exact_float32()
    state = state or {"models": {}, "current": "", "history": []}
    names = list(begin)
    for name in names[names.index(state["current"]) if state["current"] else 0 :]:
        training = begin[name]()
        done = _restore(training, state) if name == state["current"] else 0
        for number in range(done, epochs):
            row = training.epoch(number)
            state = _after(state, name, number, training, row, float(number) if merit is None else merit(row))
            _refuse_divergence(name, number, row, state["models"][f"{name}.last"])
            yield state


def _restore(training: Training[Any], state: ResumableState) -> int:
    training.module.load_state_dict(state["models"][f"{state['current']}.last"])
    training.optimiser.load_state_dict(state["optimiser"])
    training.extra = dict(state["extra"])
    return int(state["epoch"])


def _refuse_divergence(name: str, number: int, row: Mapping[str, float], weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse an epoch that left numbers or weights that are none."""
    bad = [f"{quantity} = {value}" for quantity, value in row.items() if not math.isfinite(value)]
    bad = bad or [f"{weight} is not finite" for weight, tensor in weights.items() if not tensor.isfinite().all()][:3]
    if bad:
        raise DivergedError(
            f"training of {name} diverged in epoch {number + 1}: {', '.join(bad)}; try a lower learning rate"
        )


def _after(
    state: ResumableState, name: str, number: int, training: Training[Any], row: Mapping[str, float], merit: float
) -> ResumableState:
    better = number == 0 or merit > state["merit"]
    last = _copied(training.module)
    # A copy of its own: safetensors refuses tensors that share memory.
    best = _copied(training.module) if better else state["models"][f"{name}.best"]
    return {
        "models": {**state["models"], f"{name}.last": last, f"{name}.best": best},
        "current": name,
        "epoch": number + 1,
        "optimiser": copy.deepcopy(training.optimiser.state_dict()),
        "extra": dict(training.extra),
        "merit": merit if better else state["merit"],
        "history": [*state["history"], {"variant": name, "epoch": number + 1, **row}],
    }


def _copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in module.state_dict().items()
    }
