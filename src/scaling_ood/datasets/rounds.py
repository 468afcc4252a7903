"""Products that come of parts which nobody needs afterwards, where several processes make the parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaling_ood import storage
from scaling_ood.datasets.shards import ShardsDataset
from scaling_ood.engines import Engine
from scaling_ood.products.kept_files import remove
from scaling_ood.products.keys import digest
from scaling_ood.products.plans import Plan
from scaling_ood.products.stored import StoredShards, Tensors

FOLDER = ".rounds"
"""In the folder of a product, until that is written: what it comes of, a folder for each round of parts."""


@dataclass
class Rounds:
    """The parts of one product, round by round.

    Attributes:
        product: Its folder.
        engine: Who makes them.
        progress: How many parts of the last round are there, of how many, and whether another round follows.
    """

    product: Path
    engine: Engine
    progress: tuple[int, int, bool] = (0, 0, False)

    def made(self, plan: Plan[Tensors]) -> Any:
        """The product; or a plan, where it is left to others to go on.

        A process that makes its share alone does so in one round: in the first that is not complete.
        """
        number, before, made = 0, "", plan
        while isinstance(made, Plan):
            make = made.make
            if made.parts:
                number += 1
                stored = self._stored(made, number, before)
                if stored is None:
                    return made
                make, before = stored.each, digest([part["sha256"] for part in stored.parts.values()])
            elif not self.engine.collects:
                return made
            try:
                made = made.after(make, made.parts)
            except ValueError:
                # What is wrong with the parts may be mended before they are made again.
                remove(self.product / FOLDER)
                raise
        return made

    def _stored(self, plan: Plan[Tensors], number: int, before: str) -> StoredShards | None:
        """All parts of a round; None where it is left to others to go on.

        Args:
            plan: Of the round.
            number: Of the round, from 1.
            before: Fingerprint of the parts of the round before it, since these parts are made of those.
        """
        origin = replace(plan.origin, made_from={**plan.origin.made_from, "round": number, "before": before})
        asked = Plan(plan.parts, plan.make, origin=origin)
        dataset = ShardsDataset(filepath=storage.address_of(self.product / FOLDER / f"{self.product.name}-{number}"))
        dataset.engine = self.engine
        incomplete = bool(dataset.absent(asked))
        dataset.save(asked)
        further = plan.next_round is not None
        self.progress = (*dataset.progress()[:2], further)
        if self.engine.collects or (further and not incomplete):
            return dataset.load()
        return None
