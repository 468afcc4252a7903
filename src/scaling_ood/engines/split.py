"""One of several processes that share a file system makes its share, and knows nothing of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from scaling_ood.engines.local import Local
from scaling_ood.products.plans import Part


@dataclass(frozen=True)
class Split(Local):
    """Every N-th part of each plan, beginning with the K-th.

    Whose a part is depends on its position in the plan alone, not on what is there already: no two processes ever make
    the same one, whenever they start, and one that is started again goes on with its own.

    Attributes:
        number: K, from 1.
        of: N.

    >>> parts = [Part(name, 1) for name in "abcde"]
    >>> [part.name for part in Split(2, 3).mine(parts)]
    ['b', 'e']
    """

    stores: ClassVar[bool] = True

    number: int
    of: int

    def mine(self, parts: Sequence[Part]) -> Sequence[Part]:
        """The K-th of every N."""
        return parts[self.number - 1 :: self.of]

    @property
    def collects(self) -> bool:
        """Whether it is the only one."""
        return self.of == 1
