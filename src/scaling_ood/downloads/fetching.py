"""One set, or all of them, from the public host to its place under the destination."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch

from scaling_ood.downloads.archives import UnreachableError, obtain_archive
from scaling_ood.downloads.lock import Lock, Record
from scaling_ood.downloads.packing import open_archive
from scaling_ood.downloads.source import DownloadError, Source
from scaling_ood.downloads.verification import content_digest, problems_of


@dataclass(frozen=True)
class Outcome:
    """How one set ended.

    Attributes:
        source: The set.
        state: `fetched`, `already complete`, `complete, placed by hand` (in no lock file) or `failed`.
        problem: What went wrong and what to do; empty unless failed.
    """

    source: Source
    state: str
    problem: str = ""


def fetch_all(
    sources: Sequence[Source], destination: Path, say: Callable[[str], None], *, progressbar: bool = True
) -> list[Outcome]:
    """Fetch every set that is not complete; a set that fails does not keep the others from being fetched.

    A host that could not be reached is not asked a second time.

    Args:
        sources: The sets.
        destination: Folder of the sets' folders, made if missing.
        say: Prints a line.
        progressbar: Show the transfers' progress on standard error.

    Raises:
        DownloadError: The destination's lock file cannot be understood.
        OSError: The destination cannot be made.
    """
    destination.mkdir(parents=True, exist_ok=True)
    lock = Lock(destination)
    outcomes = []
    silent: set[str] = set()
    for source in sources:
        host = urlsplit(source.url).netloc
        say(f"{source.name}: {source.url}\n  terms: {source.terms}")
        try:
            state = fetch(source, destination, lock, progressbar=progressbar, silent_host=host in silent)
            outcomes.append(Outcome(source, state))
        except DownloadError as error:
            if isinstance(error, UnreachableError):
                silent.add(host)
            outcomes.append(Outcome(source, "failed", str(error)))
    return outcomes


def fetch(source: Source, destination: Path, lock: Lock, *, progressbar: bool = True, silent_host: bool = False) -> str:
    """Make `<destination>/<name>` the complete set and return its `Outcome.state`.

    The archive is unpacked beside the set's folder, verified there and renamed, so that the folder is complete or
    absent whatever interrupts this; afterwards the archive is deleted. A folder that is there but is not what it should
    be is never touched.

    Args:
        source: The set.
        destination: An existing folder.
        lock: The destination's lock, to which a fetched set is added.
        progressbar: Show the transfer's progress on standard error.
        silent_host: Do not ask the host; the archive may still have been put in its place by hand.

    Raises:
        UnreachableError: The host cannot be reached.
        DownloadError: Anything else went wrong; in every case the text says what the user can do.
    """
    folder = destination / source.name
    if folder.is_dir() and any(folder.iterdir()):
        return _inspect(folder, source, lock)
    try:
        archive = obtain_archive(source, destination, lock, progressbar=progressbar, silent_host=silent_host)
        _unpack(archive, folder, source, lock)
        archive.unlink()
        with suppress(OSError):
            os.removedirs(archive.parent)
    except OSError as error:
        raise DownloadError(f"{source.name}: cannot write below {destination}: {error}") from error
    return "fetched"


def _inspect(folder: Path, source: Source, lock: Lock) -> str:
    """The state of a set that is there already."""
    remedy = f"Move {folder} away and run the command again to fetch the set anew."
    if problems := problems_of(folder, source):
        raise DownloadError(f"{source.name}: {folder} is not the complete set: {'; '.join(problems)}. {remedy}")
    record = lock.get(source.name)
    if record is None:
        return "complete, placed by hand"
    if content_digest(folder) != record.content:
        raise DownloadError(
            f"{source.name}: files in {folder} have changed since they were fetched ({lock.path.name}). {remedy}"
        )
    return "already complete"


def _unpack(archive: Path, folder: Path, source: Source, lock: Lock) -> None:
    """Lay a set out beside its place, verify it, record it and rename it."""
    beside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        if problems := _arrange(archive, beside, source):
            raise DownloadError(
                f"{source.name}: the archive does not hold what is expected: {'; '.join(problems)}.\n"
                f"  URL: {source.url}\n  It was left at {archive}; nothing was laid out."
            )
        checksum = f"sha256:{pooch.file_hash(str(archive), alg='sha256')}"
        lock.put(source.name, Record(source.url, checksum, content_digest(beside)))
        if folder.is_dir():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _arrange(archive: Path, folder: Path, source: Source) -> list[str]:
    """Lay the set out in an empty folder; returns what is wrong with it."""
    try:
        with open_archive(archive) as opened:
            source.arrange(opened, folder)
    except ValueError as error:
        return [str(error)]
    return problems_of(folder, source)
