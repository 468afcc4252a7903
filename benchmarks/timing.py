"""How the benchmarks measure and print."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def best_seconds(call: Callable[[], object], rounds: int = 3) -> float:
    """Shortest time of several rounds, the one least disturbed by other work."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in (header, *rows))
    ]
    return "\n".join(line.rstrip() for line in lines)
