"""How many processor cores this process may use: those of the machine, less what its owner has taken away."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Workers = int | Literal["auto"]
"""Processes or threads that decode: so many, or as many as there are usable cores; 0 for none beside the own one."""


def workers_of(given: Workers) -> int:
    """So many; it is asked where the work is, since another machine has other cores."""
    return usable_cores() if given == "auto" else given


def usable_cores() -> int:
    """Cores that this process may use, at least 1.

    The process may run on some cores only (`taskset`, Slurm, Docker's `--cpuset-cpus`), and may have a share of time
    (Docker's `--cpus`, the CPU limit of Kubernetes). Where a launcher says by `LOCAL_WORLD_SIZE` that several processes
    share the machine, as torchrun and Ray Train do, each takes an equal part.
    """
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shared = os.environ.get("LOCAL_WORLD_SIZE", "")
    cores = min(ours, limited_cores()) / (int(shared) if shared.isdecimal() and int(shared) else 1)
    return max(1, math.ceil(cores))


def limited_cores(mounted: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Cores' worth of time that Linux control groups, version 1 or 2, leave to this process; infinite if all.

    The narrowest limit counts of the own group and of all that it is in.

    Args:
        mounted: Where the groups are mounted.
        own: The kernel's list of the groups that this process is in.
    """
    limits = [math.inf]
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += [_quota(_read(folder / "cpu.max")) for folder in _groups(mounted, "unified", path)]
        elif "cpu" in controllers.split(","):
            for folder in _groups(mounted, controllers, path):
                quota, period = (_read(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period"))
                limits.append(_quota(f"{quota} {period}"))
    return min(limits)


def _groups(mounted: Path, hierarchy: str, path: str) -> Iterator[Path]:
    """Folders of a group and of those that it is in; in a container only the outermost may be there, as its own."""
    for root in (mounted, mounted / hierarchy, mounted / "cpu"):
        group = root / path.lstrip("/")
        yield from [group, *(parent for parent in group.parents if parent.is_relative_to(root))]


def _quota(text: str) -> float:
    """Of `<microseconds of work> <microseconds of time>`; infinite for `max`, -1 and what is not there."""
    match text.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return int(quota) / int(period)
    return math.inf


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
