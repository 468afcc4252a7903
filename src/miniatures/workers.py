"""Processes that render in parallel."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor


def rendering_workers() -> ProcessPoolExecutor:
    """Start one process for each core.

    They are spawned, not forked, since the parent may hold threads of PyTorch. A process imports the module of the
    function that it is given: functions of this package take a quarter of a second, those of a pipeline many.
    """
    return ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"))
