"""Two runs at once: the second that would write the same products is stopped, or warned where nothing can stop it."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from pathlib import Path
from tempfile import gettempdir

from filelock import FileLock, Timeout

from scaling_ood import storage

_logger = logging.getLogger(__name__)


class AnotherRunError(RuntimeError):
    """Another process writes the same products; says which."""


class Running:
    """A run that writes below a folder.

    On a disk there is a lock, which the system takes back from a process that dies. An object store has none: the lock
    is among the runs of this machine, and a mark in the store tells those of other machines, which are warned. They are
    not stopped, since nobody can tell whether a run that left its mark is still alive. Their products stay whole all
    the same: each part is one upload, and its record bears its key and checksum.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock, and leave the mark.

        Raises:
            AnotherRunError: Another process has it.
        """
        self._mark = folder / ".running"
        self._stored = storage.is_stored(folder)
        name = hashlib.sha256(storage.identity(folder).encode()).hexdigest()[:16]
        place = Path(gettempdir(), f"scaling_ood-{name}.lock") if self._stored else self._mark.with_suffix(".lock")
        place.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(place, timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            other = self._told() or "another process"
            raise AnotherRunError(f"{other} is writing the products of {folder}: wait until it is done") from None
        if self._stored and (other := self._told()):
            _logger.warning(
                "%s began to write the products of %s and has not ended, or was killed. If it still runs, stop one of "
                "the two: work may be done twice, and runs with other parameters replace each other's products",
                other, folder,
            )  # fmt: skip
        own = f"process {os.getpid()} on {socket.gethostname()}"
        if self._stored:
            storage.write(self._mark, own.encode())
        else:
            self._mark.write_text(own, encoding="utf-8")

    def end(self) -> None:
        """Let other runs write."""
        if self._stored:
            storage.remove(self._mark)
        self._lock.release()

    def _told(self) -> str:
        try:
            return self._mark.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
