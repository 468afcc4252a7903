"""What a detector is, what it reads, and the registry of all detectors."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

import torch

from scaling_ood.detectors.installed import load_installed
from scaling_ood.detectors.needs import Need, field_of, name_of
from scaling_ood.detectors.outputs import MissingOutputError, NonFiniteOutputError, Outputs, OutputsView, no_numbers
from scaling_ood.registry import Registry
from scaling_ood.wording import did_you_mean


class NotApplicableError(Exception):
    """The detector has no meaning on this benchmark; the message is the reason that the tables show for the gap."""


class Detector(ABC):
    """One method of telling in-distribution from OOD.

    A score is higher for what is more anomalous, always. Scores of one image never depend on the other images of its
    chunk, nor on the chunk's size. A detector works on the device where its chunks are, and its scores are there.

    Attributes:
        name: Registry name; the file's name.
        needs: What is read: names of plain outputs, and needs that have to be made. The class says it for the default
            options; where it depends on them, the constructor sets it.
        sources: Plain outputs in whose place a need is read; see `on_need`.
        dense: Whether it works on pixels, (N, C, H, W), as well as on images, (N, C). The score of a pixel then depends
            on this pixel alone: scenes are scored in strips.
        on_processor: Whether it fits and scores on the processor wherever its chunks are.
        package: Name and version of the package that it comes from; empty for those of this project.
        learns: Whether `fit` passes over images. By default whether there is a `fit`; a class whose `fit` takes only
            what else a view knows says no.
    """

    name: ClassVar[str]
    needs: frozenset[str | Need] = frozenset({"logits"})
    sources: Mapping[str, Need] = {}
    dense: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    on_processor: ClassVar[bool] = False
    package: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """A class with a `fit` of its own learns, unless it says that it does not."""
        if "fit" in cls.__dict__ and "learns" not in cls.__dict__:
            cls.learns = True

    @property
    def requires(self) -> frozenset[str]:
        """Names of all that a network must give for the needs."""
        return frozenset[str]().union(*(need.requires if isinstance(need, Need) else {need} for need in self.needs))

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

    def read(self, chunk: Outputs, need: str | Need, *, finite: bool = False) -> torch.Tensor:
        """What the detector needs of the outputs, at least float32: what every detector reads them by.

        Args:
            chunk: The outputs.
            need: Name of a plain output or of a need; or the need itself, where two have the same name.
            finite: Whether infinite numbers are refused too, as they are where a detector learns, and in features.

        Raises:
            MissingOutputError: The outputs do not have it; names detector and field.
            NonFiniteOutputError: Some are NaN, which would make a score that looks like one, or infinite.
        """
        source = self._source(need)
        field = next((each for each in (field_of(source), name_of(source)) if each in chunk), None)
        if field is None:
            raise MissingOutputError(
                f"detector '{self.name}' reads '{field_of(source)}', which these outputs lack "
                f"(they have: {', '.join(chunk.fields)})"
            )
        tensor = chunk[field]
        finite = finite or "features" in (source, source.in_place_of if isinstance(source, Need) else "")
        # A finite sum has finite parts, and is quicker to find than these; any other is looked at closely.
        if not tensor.sum().isfinite():
            if nan := no_numbers(tensor, finite=False):
                raise NonFiniteOutputError(self.name, field, "NaN", nan, len(tensor), finite)
            if finite and (infinite := no_numbers(tensor, finite=True)):
                raise NonFiniteOutputError(self.name, field, "infinite", infinite, len(tensor), finite)
        return at_least_float32(tensor)

    def _source(self, need: str | Need) -> str | Need:
        """What stands for a name: its source, else the one need that is called so, else a plain output."""
        if isinstance(need, Need):
            return need
        named = [each for each in self.needs if name_of(each) == need]
        return self.sources.get(need) or (named[0] if len(named) == 1 else need)

    def diagnostics(self) -> dict[str, float]:
        """Numbers about the fitted state that a reader of the results should see; by default none."""
        return {}


_REGISTRY: Registry[type[Detector]] = Registry("detector")
DetectorType = TypeVar("DetectorType", bound=type[Detector])
AnyDetector = TypeVar("AnyDetector", bound=Detector)


def detector(cls: DetectorType) -> DetectorType:
    """Register a detector under its file's name.

    Raises:
        ValueError: Another file has registered one under that name.
    """
    cls.name = cls.__module__.rsplit(".", 1)[-1]
    other = _REGISTRY.get(cls.name)
    if other is not None and other.__module__ != cls.__module__:
        raise ValueError(f"detector name '{cls.name}' is taken by {other.__module__}")
    _REGISTRY[cls.name] = cls
    return cls


def detector_names() -> list[str]:
    """Every registered detector, in alphabetical order."""
    _import_all()
    return sorted(_REGISTRY)


def detector_class(name: str) -> type[Detector]:
    """The detector registered under that name.

    Raises:
        ValueError: Unknown name; says the nearest match and all known ones. Or an installed package's is refused; says
            why.
    """
    if reason := _import_all().get(name):
        raise ValueError(reason)
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
            raise ValueError(f"detector '{name}' has no option '{option}'{did_you_mean(option, known)}")
    return cls(**options)


def on_need(detector: AnyDetector, need: Need) -> AnyDetector:
    """The same method on another source: a copy that reads a need in place of the plain output that it stands for.

    Raises:
        ValueError: The detector does not read that output.

    >>> from scaling_ood.detectors.odin import Perturbed
    >>> on_need(build_detector("max_logit"), Perturbed()).needs
    frozenset({Perturbed(temperature=1000.0, epsilon=0.001)})
    """
    if need.in_place_of not in detector.needs:
        reads = ", ".join(sorted(map(name_of, detector.needs)))
        raise ValueError(f"detector '{detector.name}' reads {reads}, and {need.name} can stand for none of these")
    other = copy(detector)
    other.sources = {**detector.sources, need.in_place_of: need}
    other.needs = detector.needs - {need.in_place_of} | {need}
    return other


def refuse_network(detector: Detector, network: str, gives: frozenset[str], dense: bool) -> None:
    """Make sure that a detector has a meaning on what a network leaves.

    Args:
        detector: The detector.
        network: The network's name.
        gives: What it gives; see `needs.Network`.
        dense: Whether pixels are scored.

    Raises:
        NotApplicableError: It has none; the message is the reason.
    """
    if dense and not detector.dense:
        raise NotApplicableError("the method is defined for whole images, not for pixels")
    if lacking := sorted(detector.requires - gives):
        raise NotApplicableError(
            f"it takes {', '.join(lacking)}, which the network '{network}' does not give "
            f"(it gives: {', '.join(sorted(gives)) or 'nothing'})"
        )


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Half-precision logits as float32, before any softmax; float32 and float64 as they are."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


@cache
def _import_all() -> dict[str, str]:
    """Fill the registry; names of installed packages' detectors that are refused, with the reasons."""
    package = importlib.import_module("scaling_ood.detectors")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return load_installed(_REGISTRY)
