"""What a detector is, what it reads, and the registry of all detectors."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, Self, TypeVar

import torch

from scaling_ood.detectors.head import LinearHead


@dataclass(frozen=True)
class Outputs:
    """What one forward pass left for some images; the input of every detector.

    All fields may be of any floating-point type. Those of pixels have the size of the labels, H x W: what was stored on
    a coarser grid has been up-sampled. A field is None unless a detector of the benchmark needs it.

    Attributes:
        logits: (N, C) for images, (N, C, H, W) for pixels; unnormalised. C is 0 for a network without classes.
        features: (N, D) penultimate features.
        confidence: (N,) or (N, H, W) *logit* of the confidence that a confidence branch gives, any real number: the
            confidence itself, its sigmoid, rounds to 1.
        posterior_variance: (N,) or (N, H, W) variance of the posterior over dropout masks, averaged over the classes;
            at least 0. In half precision everything under 6e-8 is 0: store it as float32.
        reconstruction_error: (N,) or (N, H, W) an autoencoder's loss, averaged over the channels, and over the pixels
            where images are scored; at least 0.
        odin_logits: (N, C) or (N, C, H, W) logits of the images as ODIN perturbed them.
        rotation_loss: (N,) a rotation head's cross-entropy, averaged over the four rotations of the image; at least 0.
    """

    logits: torch.Tensor
    features: torch.Tensor | None = None
    confidence: torch.Tensor | None = None
    posterior_variance: torch.Tensor | None = None
    reconstruction_error: torch.Tensor | None = None
    odin_logits: torch.Tensor | None = None
    rotation_loss: torch.Tensor | None = None

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.logits)


class OutputsView(Protocol):
    """The images that a detector is fitted on: chunks that can be passed over any number of times.

    A view may also have `labels`, (N,) classes of its images, and `head`, the classifier's `LinearHead`: see
    `fit_views`. Both are optional, so that views which were written before there were any stay views. Images to score
    have neither.
    """

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

    def __init__(
        self,
        chunks: Iterable[Outputs],
        class_groups: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        head: LinearHead | None = None,
    ) -> None:
        """Hold the chunks, and what else is known.

        Args:
            chunks: Outputs of the images to fit on.
            class_groups: (C,) group of each class where there are groups.
            labels: (N,) class of each image, 0..C-1, in the order of the chunks.
            head: Last layer of the classifier.
        """
        super().__init__(chunks)
        self.class_groups = class_groups
        self.labels = labels
        self.head = head


class NotApplicableError(Exception):
    """The detector has no meaning on this benchmark; the message is the reason that the tables show for the gap."""


class MissingOutputError(ValueError):
    """The outputs lack a field that the detector reads."""


class NonFiniteOutputError(ValueError):
    """Outputs that a detector reads are no numbers.

    Attributes:
        field: Of `Outputs`.
        rows: Positions of the images in their chunk.
    """

    def __init__(self, detector: str, field: str, what: str, rows: list[int], images: int) -> None:
        """Keep where it is; `what` is NaN or infinite."""
        super().__init__(
            f"detector '{detector}' was given {field} that are {what}, of {len(rows):,} of {images:,} images "
            f"(the first is number {rows[0] + 1} of its chunk)"
        )
        self.field = field
        self.rows = rows


def no_numbers(tensor: torch.Tensor, *, finite: bool) -> list[int]:
    """Positions of the images some of whose numbers are NaN, or with `finite` infinite."""
    bad = ~tensor.isfinite() if finite else tensor.isnan()
    return (
        bad.flatten(1).any(dim=1).nonzero().flatten().tolist() if tensor.ndim > 1 else bad.nonzero().flatten().tolist()
    )


class Detector(ABC):
    """One method of telling in-distribution from OOD.

    A score is higher for what is more anomalous, always. Scores of one image never depend on the other images of its
    chunk, nor on the chunk's size.

    Attributes:
        name: Registry name; the file's name.
        needs: Fields of `Outputs` that are read. The class says it for the default options; where it depends on them,
            the constructor sets it.
        dense: Whether it works on pixels, (N, C, H, W), as well as on images, (N, C).
        network: Name of the network whose outputs it reads, if it is not the classifier or segmenter that all share.
    """

    name: ClassVar[str]
    needs: frozenset[str] = frozenset({"logits"})
    dense: ClassVar[bool] = True
    network: ClassVar[str] = ""

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

    def read(self, chunk: Outputs, field: str, *, finite: bool = False) -> torch.Tensor:
        """A field of the outputs, at least float32: what every detector reads them by.

        Args:
            chunk: The outputs.
            field: Its name.
            finite: Whether infinite numbers are refused too, as they are where a detector learns, and in features.

        Raises:
            MissingOutputError: The outputs do not have it; names detector and field.
            NonFiniteOutputError: Some are NaN, which would make a score that looks like one, or infinite.
        """
        tensor: torch.Tensor | None = getattr(chunk, field)
        if tensor is None:
            there = ", ".join(each.name for each in fields(chunk) if getattr(chunk, each.name) is not None)
            raise MissingOutputError(
                f"detector '{self.name}' reads '{field}', which these outputs lack (they have: {there})"
            )
        # A finite sum has finite parts, and is quicker to find than these; any other is looked at closely.
        if not tensor.sum().isfinite():
            if nan := no_numbers(tensor, finite=False):
                raise NonFiniteOutputError(self.name, field, "NaN", nan, len(tensor))
            if (finite or field == "features") and (infinite := no_numbers(tensor, finite=True)):
                raise NonFiniteOutputError(self.name, field, "infinite", infinite, len(tensor))
        return at_least_float32(tensor)

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


def check_choice(option: str, given: str, allowed: tuple[str, ...]) -> None:
    """Refuse an option's value that is not allowed, with the nearest that is.

    >>> check_choice("on", "logit", ("features", "logits"))
    Traceback (most recent call last):
    ValueError: on must be 'features' or 'logits', not 'logit'; did you mean 'logits'?
    """
    if given not in allowed:
        near = get_close_matches(str(given), allowed, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"{option} must be {' or '.join(map(repr, allowed))}, not {given!r}{hint}")


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Half-precision logits as float32, before any softmax; float32 and float64 as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _import_all() -> None:
    package = importlib.import_module("scaling_ood.detectors")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
