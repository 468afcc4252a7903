"""What a detector is, what it reads, and the registry of all detectors."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, Self, TypeVar

import torch


@dataclass(frozen=True)
class Outputs:
    """What one forward pass left for some images; the input of every detector.

    Attributes:
        logits: (N, C) for images, (N, C, H, W) for pixels; unnormalised, any floating-point type.
        features: (N, D) penultimate features; None unless a detector of the benchmark needs them.
    """

    logits: torch.Tensor
    features: torch.Tensor | None = None

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.logits)


class OutputsView(Protocol):
    """The images that a detector is fitted on: chunks that can be passed over any number of times."""

    @property
    def class_groups(self) -> torch.Tensor | None:
        """(C,) group of each class, 0..G-1 (its family, its superclass); None where classes have no groups."""
        ...

    def __iter__(self) -> Iterator[Outputs]:
        """Chunks in a fixed order; only one is in memory at a time."""
        ...


class OutputsList(list[Outputs]):
    """Chunks in memory, as a view: what to fit a detector on outside of a pipeline.

    >>> view = OutputsList([Outputs(torch.zeros(2, 3)), Outputs(torch.zeros(1, 3))])
    >>> sum(len(chunk) for chunk in view)
    3
    """

    def __init__(self, chunks: Iterable[Outputs], class_groups: torch.Tensor | None = None) -> None:
        """Hold the chunks, and the (C,) group of each class where there are groups."""
        super().__init__(chunks)
        self.class_groups = class_groups


class NotApplicableError(Exception):
    """The detector has no meaning on this benchmark; the message is the reason that the tables show for the gap."""


class Detector(ABC):
    """One method of telling in-distribution from OOD.

    A score is higher for what is more anomalous, always. Scores of one image never depend on the other images of its
    chunk, nor on the chunk's size.

    Attributes:
        name: Registry name; the file's name.
        needs: Fields of `Outputs` that are read.
        dense: Whether it works on pixels, (N, C, H, W), as well as on images, (N, C).
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    dense: ClassVar[bool] = True

    def fit(self, outputs: OutputsView) -> Self:  # noqa: ARG002 - most detectors learn nothing
        """Learn from in-distribution images that are not test images; by default nothing.

        Args:
            outputs: View of chunks; may be passed over several times. State the memory that is held.

        Raises:
            NotApplicableError: The method has no meaning on these outputs.
        """
        return self

    @abstractmethod
    def score(self, chunk: Outputs) -> torch.Tensor:
        """Anomaly score, higher = more anomalous: (N,) for images, (N, H, W) for pixels; at least float32."""

    def diagnostics(self) -> dict[str, float]:
        """Numbers about the fitted state that a reader of the results should see; by default none."""
        return {}


_REGISTRY: dict[str, type[Detector]] = {}
DetectorType = TypeVar("DetectorType", bound=type[Detector])


def detector(cls: DetectorType) -> DetectorType:
    """Register a detector under its file's name."""
    cls.name = cls.__module__.rsplit(".", 1)[-1]
    _REGISTRY[cls.name] = cls
    return cls


def detector_names() -> list[str]:
    """Every registered detector, in alphabetical order."""
    _import_all()
    return sorted(_REGISTRY)


def detector_class(name: str) -> type[Detector]:
    """The detector registered under that name.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones.
    """
    _import_all()
    if name not in _REGISTRY:
        near = get_close_matches(name, _REGISTRY, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown detector '{name}'{hint} (known: {', '.join(sorted(_REGISTRY))})")
    return _REGISTRY[name]


def build_detector(name: str, **options: Any) -> Detector:
    """A detector by name, unfitted.

    Args:
        name: One of `detector_names()`.
        options: Keyword arguments of the detector's constructor.

    Raises:
        ValueError: Unknown detector, unknown option, or an option out of its range.

    >>> build_detector("energy", temperature=2.0).temperature
    2.0
    """
    cls = detector_class(name)
    known = list(inspect.signature(cls).parameters)
    for option in options:
        if option not in known:
            near = get_close_matches(option, known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"detector '{name}' has no option '{option}'{hint} (known: {', '.join(known) or 'none'})")
    return cls(**options)


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Half-precision logits as float32, before any softmax; float32 and float64 as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _import_all() -> None:
    package = importlib.import_module("scaling_ood.detectors")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
