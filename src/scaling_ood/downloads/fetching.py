"""Sets from their public hosts to their places under a destination: pooch transfers and checks the archives."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pooch
import requests
from filelock import FileLock, Timeout

from scaling_ood.downloads.records import RECORDS_NAME, Record, content_digest, keep_record, read_records
from scaling_ood.downloads.source import DownloadError, Source
from scaling_ood.downloads.unpacking import DAMAGES, unpack

ARCHIVES = ".archives"
LOCK_NAME = ".fetching.lock"
TIMEOUT_S = (10.0, 30.0)
"""How long a host may take to answer, and how long it may fall silent afterwards."""


def fetch_all(sources: Sequence[Source], destination: Path, say: Callable[[str], None]) -> list[str]:
    """Fetch every set that is not complete; a set that fails does not keep the others from being fetched.

    Of each set, the terms are told first, then how it ended with the counts that were checked.

    Args:
        sources: The sets.
        destination: Folder of the sets' folders, made if missing.
        say: Prints a line.

    Returns:
        What is wrong with each set that is not there now, and what to do.

    Raises:
        ValueError: The destination's records cannot be understood.
        OSError: The destination cannot be made.
    """
    pooch.get_logger().setLevel("ERROR")
    destination.mkdir(parents=True, exist_ok=True)
    problems = []
    for source in sources:
        say(f"{source.name}: {source.url}\n  terms: {source.terms}")
        try:
            state = fetch(source, destination, say)
            say(f"  {state}: {', '.join(f'{line.count:,} {line.what}' for line in source.expected)}")
        except DownloadError as error:
            say("  failed")
            problems.append(str(error))
    return problems


def fetch(source: Source, destination: Path, say: Callable[[str], None]) -> str:
    """Make `<destination>/<name>` the complete set, and say how.

    A folder that is there but is not what it should be is never touched. An archive that was put into its place by hand
    is taken in place of the host's. Only one process at a time fetches into a destination; others wait.

    Args:
        source: The set.
        destination: An existing folder.
        say: Prints a line.

    Returns:
        `fetched`, `already complete`, or `complete, placed by hand` for a set that has no record.

    Raises:
        DownloadError: Anything went wrong; the text says what the user can do.
        ValueError: The destination's records cannot be understood.
    """
    try:
        if not _has_files(destination / source.name):
            with _alone(destination, say):
                # The process that was waited for may have fetched it.
                if not _has_files(destination / source.name):
                    _fetch(source, destination)
                    return "fetched"
        return _inspect(source, destination)
    except OSError as error:
        raise DownloadError(f"{source.name}: cannot be laid out below {destination}: {error}") from error


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _alone(destination: Path, say: Callable[[str], None]) -> AbstractContextManager[object]:
    """While it is held, no other process fetches into the destination."""
    lock = FileLock(destination / LOCK_NAME)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        say(f"  another process is fetching into {destination}: this one waits")
        return lock.acquire()


def _inspect(source: Source, destination: Path) -> str:
    """The state of a set that is there already."""
    folder = destination / source.name
    remedy = f"Move {folder} away and run the command again to fetch the set anew."
    if problems := source.problems(folder):
        raise DownloadError(f"{source.name}: {folder} is not the complete set: {'; '.join(problems)}. {remedy}")
    record = read_records(destination).get(source.name)
    if record is None:
        return "complete, placed by hand"
    if content_digest(folder) != record.content:
        raise DownloadError(
            f"{source.name}: files in {folder} have changed since they were fetched ({RECORDS_NAME}). {remedy}"
        )
    return "already complete"


def _fetch(source: Source, destination: Path) -> None:
    """Obtain the archive, lay it out, and delete it."""
    archive = destination / ARCHIVES / source.archive
    by_hand = archive.exists()
    _obtain(source, archive, destination)
    try:
        _lay_out(source, archive, destination)
    except DAMAGES as error:
        # What the user put there stays the user's; what was fetched just now would only be in the way.
        if not by_hand:
            archive.unlink()
        remedy = f"Delete {archive} and run" if by_hand else "It was deleted; run"
        # tarfile lists, in further lines, what each of its readers says.
        detail = (str(error) or type(error).__name__).splitlines()[0].rstrip(":")
        what = f"the archive is damaged ({detail}). {remedy} the command again"
        raise _failure(source, destination, what) from error
    except (ValueError, RuntimeError) as error:
        raise _failure(source, destination, f"{archive} is not laid out: {error}") from error
    archive.unlink()
    with suppress(OSError):
        os.removedirs(archive.parent)


def _obtain(source: Source, archive: Path, destination: Path) -> None:
    """The archive with the published checksum, or else with that of its first download."""
    record = read_records(destination).get(source.name)
    first = record.archive if record is not None and record.url == source.url else None
    # What pooch had received when it was killed.
    for partial in archive.parent.glob("tmp????????"):
        partial.unlink()
    download = pooch.HTTPDownloader(sys.stderr.isatty(), chunk_size=1 << 16, timeout=TIMEOUT_S)
    try:
        pooch.retrieve(source.url, source.checksum or first, archive.name, archive.parent, downloader=download)
    except requests.RequestException as error:
        there = f"{archive} has another checksum than it should, and " if archive.exists() else ""
        what = f"{there}the transfer failed ({_reason(error)}); the same command tries it again"
        raise _failure(source, destination, what) from error
    except ValueError as error:
        origin = "its published checksum" if source.checksum else "the checksum of its first download"
        accept = "" if source.checksum else f" To accept it, delete '{source.name}' from {destination / RECORDS_NAME}."
        what = f"the archive does not have {origin}. {error}{accept}"
        raise _failure(source, destination, what) from error


def _lay_out(source: Source, archive: Path, destination: Path) -> None:
    """Lay a set out beside its place, verify it, record it and rename it: it is complete or absent whatever happens."""
    folder = destination / source.name
    beside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        unpack(archive, source.place, beside)
        if source.finish is not None:
            source.finish(beside)
        if problems := source.problems(beside):
            raise ValueError(f"it does not hold what is expected: {'; '.join(problems)}")
        checksum = f"sha256:{pooch.file_hash(str(archive), alg='sha256')}"
        keep_record(destination, source.name, Record(source.url, checksum, content_digest(beside)))
        # This replaces an empty folder.
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _reason(error: BaseException) -> str:
    """The innermost reason of a failed transfer, which libraries wrap several times."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _failure(source: Source, destination: Path, what: str) -> DownloadError:
    """What went wrong, and how to get the set by hand."""
    layout = source.layout().replace("\n", "\n    ")
    return DownloadError(
        f"{source.name}: {what.removesuffix('.')}.\n"
        f"  URL: {source.url}\n"
        f"  By hand: save that archive as {destination / ARCHIVES / source.archive} and run the command again,\n"
        f"  or lay the set out below {destination}:\n    {layout}"
    )
