"""What a detector reads of a network: plain outputs by their names, and needs, which have to be made.

A need that nobody had before is a frozen dataclass in its detector's file. It is made where the network is: it may turn
the images, repeat what lies behind the dropout, or take gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, Protocol

import torch
from torch import nn

from scaling_ood.wording import nearest

_SHOWN = 12
_MAP_DIMENSIONS = 4


class Network(Protocol):
    """A network as needs use it; in evaluation mode, on the device of its inputs.

    Attributes:
        gives: What one plain pass leaves, such as `logits`; `gradients` where these reach its inputs, and `dropout`
            where `dropout_passes` works.
        posterior: What makes probabilities of its logits.
    """

    gives: frozenset[str]
    posterior: Literal["softmax", "sigmoid"]

    def __call__(self, inputs: torch.Tensor, /) -> Mapping[str, torch.Tensor]:
        """Everything that it gives, by name, for normalised images (N, 3, H, W)."""
        ...

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the heads read of normalised images (N, 3, H, W)."""
        ...

    def decode(self, encoded: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Everything that it gives, of what `encode` made."""
        ...

    def dropout_passes(self, encoded: torch.Tensor, passes: int, seed: int) -> Iterator[torch.Tensor]:
        """Logits of what `encode` made, one tensor per dropout mask."""
        ...

    def named_modules(self) -> Iterable[tuple[str, nn.Module]]:
        """Its layers, as of any `nn.Module`."""
        ...


@dataclass(frozen=True)
class Given:
    """One network's plain pass over one batch, as a need sees it.

    Attributes:
        network: The network.
        inputs: (N, 3, H, W) what entered it, normalised.
        encoded: What its `encode` made of them.
        outputs: What the plain pass gave, by name.
        seed: Of what chance there is: 0 for batches of images; a scene's own where scenes go through one by one.
    """

    network: Network
    inputs: torch.Tensor
    encoded: torch.Tensor
    outputs: Mapping[str, torch.Tensor]
    seed: int = 0


@dataclass(frozen=True)
class Need(ABC):
    """Something that has to be made of a network and a batch; subclasses are frozen dataclasses.

    Their fields are all that can change what is made, so that two needs are equal where they make the same.

    Attributes:
        name: What it is called in `Outputs`; no other class of needs has this name.
        requires: What the network must give for it.
        in_place_of: The plain output that any detector can read this instead of (`on_need`); empty where there is none.
        from_features: Whether it is made of `Given.encoded` alone, so that heads on stored features can make it.
        float32: Whether it is too fine for half precision.
        version: To be raised with every change by which `make` makes something else; it is part of every key.
    """

    name: ClassVar[str]
    requires: ClassVar[frozenset[str]]
    in_place_of: ClassVar[str] = ""
    from_features: ClassVar[bool] = False
    float32: ClassVar[bool] = False
    version: ClassVar[int] = 1

    @abstractmethod
    def make(self, given: Given) -> torch.Tensor:
        """The need of each image, (N, ...), without gradient.

        It is called with or without inference mode, in the arithmetic in which the network runs.
        """


def name_of(need: str | Need) -> str:
    """The name of a need, whatever its options."""
    return need if isinstance(need, str) else need.name


def field_of(need: str | Need) -> str:
    """The name under which what was made is stored: with the options of the need, so that no two share it.

    >>> field_of("logits"), field_of(FeatureMap("layer3"))
    ('logits', 'feature_map(layer=layer3,pool=mean)')
    """
    if isinstance(need, str):
        return need
    options = [f"{each.name}={getattr(need, each.name)}" for each in fields(need)]
    options += [f"version={need.version}"] if need.version > 1 else []
    return f"{need.name}({','.join(options)})" if options else need.name


@dataclass(frozen=True)
class FeatureMap(Need):
    """What one layer inside the network makes, (N, D, H, W), pooled over its positions to (N, D): one more pass.

    Of a layer that runs several times in a pass it is the last.

    Attributes:
        layer: The layer's name in `named_modules`, such as `backbone.layer3`.
        pool: `mean` or `max` over H and W.
    """

    name: ClassVar[str] = "feature_map"
    requires: ClassVar[frozenset[str]] = frozenset()
    in_place_of: ClassVar[str] = "features"

    layer: str
    pool: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        """Refuse another pooling."""
        if self.pool not in ("mean", "max"):
            raise ValueError(f"pool must be 'mean' or 'max', not {self.pool!r}")

    def make(self, given: Given) -> torch.Tensor:
        """The pooled map, (N, D).

        Raises:
            ValueError: The network has no such layer, or the layer makes no maps.
        """
        seen: list[object] = []
        handle = self._layer_of(given.network).register_forward_hook(lambda *passed: seen.append(passed[-1]))
        try:
            with torch.no_grad():
                given.network(given.inputs)
        finally:
            handle.remove()
        maps = seen[-1] if seen else None
        if not (isinstance(maps, torch.Tensor) and maps.ndim == _MAP_DIMENSIONS):
            found = tuple(maps.shape) if isinstance(maps, torch.Tensor) else type(maps).__name__
            raise ValueError(f"layer '{self.layer}' makes no maps (N, D, H, W), but {found}")
        return maps.mean(dim=(2, 3)) if self.pool == "mean" else maps.amax(dim=(2, 3))

    def _layer_of(self, network: Network) -> nn.Module:
        layers = {name: layer for name, layer in network.named_modules() if name}
        if self.layer not in layers:
            # Outer layers first: they are the ones that people know.
            some = sorted(layers, key=lambda name: name.count("."))[:_SHOWN]
            more = f", and {len(layers) - len(some):,} more" if len(layers) > len(some) else ""
            hint = nearest(self.layer, layers)
            raise ValueError(f"the network has no layer '{self.layer}'{hint} (it has: {', '.join(some)}{more})")
        return layers[self.layer]
