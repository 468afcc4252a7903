"""Who writes the products of a setting: one whole run, or several processes that make parts side by side."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click
from filelock import FileLock, Timeout

_MOMENT = 10.0
"""Seconds that a process of several waits for another one that looks whether a whole run is underway."""


class Locks:
    """What this process has locked. A lock ends with its process, however that ended."""

    def __init__(self) -> None:
        """Nothing is locked."""
        self._held: list[FileLock] = []

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
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / ".running"
        if part is None:
            for place in (whole, *(each.with_suffix("") for each in sorted(folder.glob(".running-*.lock")))):
                self._acquire(place, setting)
            whole.write_text(_this_process(), encoding="utf-8")
            return
        mine = folder / f".running-{part.replace('/', '-of-')}"
        self._acquire(mine, setting)
        mine.write_text(f"{_this_process()}, which makes part {part},", encoding="utf-8")
        self._acquire(whole, setting, _MOMENT)
        self._held.pop().release()

    def release(self) -> None:
        """Let other runs write."""
        while self._held:
            self._held.pop().release()

    def _acquire(self, place: Path, setting: str, seconds: float = 0) -> None:
        lock = FileLock(f"{place}.lock", timeout=seconds)
        try:
            lock.acquire()
        except Timeout:
            self.release()
            other = place.read_text(encoding="utf-8") if place.is_file() else "another process"
            raise click.ClickException(
                f"{other} is writing the products of {setting} in {place.parent}: wait until it is done"
            ) from None
        self._held.append(lock)


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
