"""Processes that render in parallel."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess


def rendering_workers(processes: int | None = None) -> ProcessPoolExecutor:
    """Start so many processes; by default one for each core of the machine.

    They are spawned, not forked, since the parent may hold threads of PyTorch. A process imports the module of the
    function that it is given: functions of this package take a quarter of a second, those of a pipeline many.
    A process ends when its parent is gone, however that ended.
    """
    return ProcessPoolExecutor(processes or os.cpu_count(), multiprocessing.get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
