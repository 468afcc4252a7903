"""What a forward pass left for some images, and views of it that detectors are fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from scaling_ood.detectors.head import LinearHead

Array = torch.Tensor | NDArray[Any]


class Outputs:
    """What one forward pass left for some images; the input of every detector.

    A plain output of the network has its name in `Network.gives`; a `Need` stands under `field_of` it, or simply under
    its name. Common ones:

    - `logits`: (N, C) for images, (N, C, H, W) for pixels; unnormalised.
    - `features`: (N, D) penultimate features.
    - `confidence`: (N,) or (N, H, W) *logit* of the confidence that a confidence branch gives, any real number: the
      confidence itself, its sigmoid, rounds to 1.
    - `reconstruction_error`: (N,) or (N, H, W) an autoencoder's loss, averaged over the channels, and over the pixels
      where images are scored; at least 0.

    All may be of any floating-point type. Those of pixels have the size of the label image, H x W: what was stored on a
    coarser grid has been up-sampled.

    >>> chunk = Outputs(torch.zeros(2, 3), rotation_loss=torch.tensor([0.5, 0.1]))
    >>> len(chunk), chunk.logits is chunk["logits"], "features" in chunk
    (2, True, False)

    Attributes:
        fields: All that is there, by name.
    """

    def __init__(self, logits: Array | None = None, features: Array | None = None, **others: Array | None) -> None:
        """Hold the fields, of the same images in the same order; those that are None are not there.

        Arrays of NumPy become tensors on the same memory.

        Raises:
            ValueError: There is none.
        """
        given = {"logits": logits, "features": features, **others}
        self.fields: Mapping[str, torch.Tensor] = {
            name: torch.as_tensor(each) for name, each in given.items() if each is not None
        }
        if not self.fields:
            raise ValueError("outputs need at least one field, such as logits")

    @property
    def logits(self) -> torch.Tensor:
        """(N, C, ...)."""
        return self["logits"]

    @property
    def features(self) -> torch.Tensor:
        """(N, D)."""
        return self["features"]

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return next(iter(self.fields.values())).device

    def __getitem__(self, name: str) -> torch.Tensor:
        """A field.

        Raises:
            MissingOutputError: It is not there.
        """
        if name not in self.fields:
            raise MissingOutputError(f"these outputs lack '{name}' (they have: {', '.join(self.fields)})")
        return self.fields[name]

    def __contains__(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.fields

    def __len__(self) -> int:
        """How many images there are."""
        return len(next(iter(self.fields.values())))


class OutputsView(Protocol):
    """The images that a detector is fitted on: chunks that can be passed over any number of times.

    Where something else is not known, it is None.
    """

    @property
    def class_groups(self) -> torch.Tensor | None:
        """(C,) group of each class, 0..G-1 (its family, its superclass); None where classes have no groups."""
        ...

    @property
    def targets(self) -> torch.Tensor | None:
        """(N,) class of each image, 0..C-1, in the order of the chunks; None where images have no single class."""
        ...

    @property
    def head(self) -> LinearHead | None:
        """Last layer of the classifier, features to logits; None where there is no such layer."""
        ...

    @property
    def class_names(self) -> Sequence[str] | None:
        """Names of the C classes; None where they are not known."""
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
        targets: torch.Tensor | None = None,
        head: LinearHead | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Hold the chunks, and what else is known: see `OutputsView`."""
        super().__init__(chunks)
        self.class_groups = class_groups
        self.targets = targets
        self.head = head
        self.class_names = class_names


class MissingOutputError(ValueError):
    """The outputs lack a field that the detector reads."""


class NonFiniteOutputError(ValueError):
    """Outputs that a detector reads are no numbers.

    Attributes:
        field: Of `Outputs`.
        rows: Positions of the images in their chunk.
        finite: Whether infinite ones are refused as well as NaN.
    """

    def __init__(self, detector: str, field: str, what: str, rows: list[int], images: int, finite: bool) -> None:
        """Keep where it is; `what` is NaN or infinite."""
        super().__init__(
            f"detector '{detector}' was given {field} that are {what}, of {len(rows):,} of {images:,} images "
            f"(the first is number {rows[0] + 1} of its chunk)"
        )
        self.field = field
        self.rows = rows
        self.finite = finite


def no_numbers(tensor: torch.Tensor, *, finite: bool) -> list[int]:
    """Positions of the images some of whose numbers are NaN, or with `finite` infinite."""
    bad = ~tensor.isfinite() if finite else tensor.isnan()
    return (
        bad.flatten(1).any(dim=1).nonzero().flatten().tolist() if tensor.ndim > 1 else bad.nonzero().flatten().tolist()
    )
