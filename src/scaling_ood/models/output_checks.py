"""What a network gives is looked at once, before it is stored: nothing later can tell what NaN comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from scaling_ood.wording import listed

FAULTS = ("", "NaN", "infinite features", "numbers that are too large for the type they are stored in")


class NetworkOutputError(ValueError):
    """A network gives for some images what no detector can score."""


@dataclass(frozen=True)
class OutputCheck:
    """Who gives the outputs, and how they are stored.

    Attributes:
        setting: Whose parameters say how; empty where there are none.
        network: In words.
        precision: In which the network runs.
        stored: Type of what is kept.
    """

    setting: str
    network: str
    precision: str = "float32"
    stored: torch.dtype = torch.float32

    def keep(
        self, field: str, value: torch.Tensor, stored: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs as they are stored, and the index in `FAULTS` of each image, (N,) uint8; both on their device.

        Nothing waits for a GPU. Infinite logits are no fault: they have scores where a detector's formula gives one.

        Args:
            field: Its name.
            value: (N, ...) as the network gave it.
            stored: Another type than all fields have.
        """
        kept = value.to(stored or self.stored)
        codes = torch.zeros(len(value), dtype=torch.uint8, device=value.device)
        if value.is_cuda or not kept.isfinite().all():
            rows = [_any(kept.isinf() & value.isfinite()), _any(kept.isnan())]
            rows.insert(1, _any(value.isinf()) if field == "features" else torch.zeros_like(rows[0]))
            for code, found in zip((3, 2, 1), rows, strict=True):
                codes.masked_fill_(found, code)
        return kept, codes

    def refuse(self, codes: Mapping[str, torch.Tensor], ids: Sequence[str], image_set: str) -> None:
        """Refuse faults of some images of a set.

        Args:
            codes: Name of an output to what `keep` found.
            ids: Of these images.
            image_set: In which they are.

        Raises:
            NetworkOutputError: There is one; names network, image set, images, count and what to do.
        """
        worst = {name: int(found[found > 0].min()) for name, found in codes.items() if found.any()}
        if not worst:
            return
        code = min(worst.values())
        named = [name for name, own in worst.items() if own == code]
        bad = torch.stack([codes[name] == code for name in named]).any(dim=0).nonzero().flatten().tolist()
        which = f"{listed([ids[row] for row in bad], most=3)}; {listed(named, most=3)}"
        raise NetworkOutputError(
            f"{self.setting}{': ' if self.setting else ''}{self.network} gives {FAULTS[code]} for {len(bad):,} of "
            f"{len(ids):,} images of {image_set} ({which}). {self._remedy(code)}"
        )

    def _remedy(self, code: int) -> str:
        if FAULTS[code] == FAULTS[3]:
            return f"Store them in single precision: --params {self.setting}.extraction.stored=float32"
        if self.precision != "float32":
            return f"Run it in single precision: --params {self.setting}.extraction.precision=float32"
        return "Look at these images and take them out of their folder, or take other weights"


def _any(found: torch.Tensor) -> torch.Tensor:
    return found.flatten(1).any(dim=1) if found.ndim > 1 else found
