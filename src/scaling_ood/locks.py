"""Who writes the products of a setting: one whole run, or several processes that make parts side by side."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from pathlib import Path
from tempfile import gettempdir

import click
from filelock import FileLock, Timeout

from scaling_ood import storage

_WHOLE = ".running"
"""Name of what a whole run locks; that of a part begins with it."""

_MOMENT = 10.0
"""Seconds that a process of several waits for another one that looks whether a whole run is underway."""

_logger = logging.getLogger(__name__)


class Locks:
    """What this process has locked. A lock ends with its process, however that ended.

    An object store has no locks. There the runs of this machine lock a folder of it, and a mark in the store tells
    those of other machines, which are warned. They are not stopped, since nobody can tell whether a run that left its
    mark is still alive. Their products stay whole all the same: each part is one upload, and its record bears its key
    and checksum.
    """

    def __init__(self) -> None:
        """Nothing is locked."""
        self._held: list[FileLock] = []
        self._marks: list[Path] = []

    def take(self, folder: Path, setting: str, part: str | None = None) -> None:
        """Refuse a second run that would write the same products.

        A whole run locks `.running.lock`, and the locks of all parts. A process that makes a part locks that of its
        part, and then only makes sure that no whole run is underway.

        Args:
            folder: Of the setting.
            setting: Its name.
            part: `3/16`, where only the third of sixteen parts is written.

        Raises:
            click.ClickException: Another process writes them; names it.
        """
        here = _folder_of_locks(folder)
        here.mkdir(parents=True, exist_ok=True)
        mine = f"{_WHOLE}-{part.replace('/', '-of-')}" if part else _WHOLE
        process = f"process {os.getpid()} on {socket.gethostname()}"
        own = f"{process}, which makes part {part}," if part else process
        products = f"the products of {setting} in {folder}"
        parts = () if part else sorted(each.stem for each in here.glob(f"{_WHOLE}-*.lock"))
        for name in (mine, *parts):
            self._acquire(here / name, products)
        (here / mine).write_text(own, encoding="utf-8")
        if part:
            self._acquire(here / _WHOLE, products, _MOMENT)
            self._held.pop().release()
        if storage.is_stored(folder):
            self._mark(folder, mine, own, products)

    def release(self) -> None:
        """Let other runs write."""
        while self._held:
            self._held.pop().release()
        while self._marks:
            storage.remove(self._marks.pop())

    def _acquire(self, place: Path, products: str, seconds: float = 0) -> None:
        lock = FileLock(f"{place}.lock", timeout=seconds)
        try:
            lock.acquire()
        except Timeout:
            self.release()
            other = place.read_text(encoding="utf-8") if place.is_file() else "another process"
            raise click.ClickException(f"{other} is writing {products}: wait until it is done") from None
        self._held.append(lock)

    def _mark(self, folder: Path, mine: str, own: str, products: str) -> None:
        """Leave a mark in a store, and warn of those of other runs that it does not go with.

        A whole run goes with none, and takes them away when it ends: those of killed processes stay no longer.
        """
        is_whole = mine == _WHOLE
        others = [each for each in sorted(folder.glob(f"{_WHOLE}*")) if is_whole or each.name in (mine, _WHOLE)]
        if told := [text for each in others if (text := _text_of(each))]:
            _logger.warning(
                "Began to write %s and has not ended, or was killed: %s. If it still runs, stop one of the two: work "
                "may be done twice, and runs with other parameters replace each other's products",
                products, "; ".join(told),
            )  # fmt: skip
        storage.write(folder / mine, own.encode())
        self._marks = sorted({folder / mine, *(others if is_whole else ())})


def _folder_of_locks(folder: Path) -> Path:
    """On this machine: the folder itself, or one that stands for a folder in a store, for each user."""
    if not storage.is_stored(folder):
        return folder
    told = f"{storage.identity(folder)} {os.path.expanduser('~')}"
    return Path(gettempdir(), f"scaling_ood-{hashlib.sha256(told.encode()).hexdigest()[:16]}")


def _text_of(mark: Path) -> str:
    try:
        return mark.read_text(encoding="utf-8").rstrip(",")
    except FileNotFoundError:  # it has ended meanwhile
        return ""
