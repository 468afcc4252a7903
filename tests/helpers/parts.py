"""A plan whose parts several processes make, and what each of them runs; a process of its own can import it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from helpers.toys import registered
from scaling_ood.datasets import ShardsDataset
from scaling_ood.engines import Split
from scaling_ood.products.plans import Part, Plan


@dataclass(frozen=True)
class Multiples:
    """Makes parts whose values follow from their names."""

    factor: float = 2.0

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        """Yield them."""
        for part in missing:
            yield part.name, {"x": torch.arange(part.items) * self.factor + int(part.name[-2:])}


def save(folder: Path, given: Plan[dict[str, torch.Tensor]], number: int, of: int) -> None:
    """Make one process's parts; networks of the toys are known."""
    dataset = ShardsDataset(filepath=str(folder))
    dataset.engine = Split(number, of)
    with registered():
        dataset.save(given)
