"""The whole, verified archive of a set, or one message that says what the user can do instead."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ReadTimeoutError

from scaling_ood.downloads.lock import Lock
from scaling_ood.downloads.packing import RefusedArchiveError, damage
from scaling_ood.downloads.source import DownloadError, Source
from scaling_ood.downloads.transfer import status_of, transfer

ARCHIVES = ".archives"


class UnreachableError(DownloadError):
    """The host of a source cannot be reached."""


def archive_path(source: Source, destination: Path) -> Path:
    """Where the archive of a set waits until it is unpacked, and where a user can put it by hand."""
    return destination / ARCHIVES / f"{source.name}{source.suffix}"


def obtain_archive(
    source: Source, destination: Path, lock: Lock, *, progressbar: bool = True, silent_host: bool = False
) -> Path:
    """The path of the archive, verified as far as that is possible before it is unpacked.

    Args:
        source: The set.
        destination: The folder of all sets.
        lock: Holds the archive's checksum from its first download, if there was one.
        progressbar: Show the transfer's progress on standard error.
        silent_host: The host did not answer a moment ago and is not asked again.

    Raises:
        UnreachableError: The host cannot be reached.
        DownloadError: It refused, the transfer broke off, or the archive is damaged or has another checksum.
        OSError: The archive cannot be written.
    """
    path = archive_path(source, destination)
    path.parent.mkdir(parents=True, exist_ok=True)
    by_hand = path.exists()
    if silent_host and not by_hand:
        raise UnreachableError(_by_hand(source, destination, f"{_host(source)} cannot be reached"))
    record = lock.get(source.name)
    locked = record.archive if record is not None and record.url == source.url else None
    try:
        transfer(source.url, path, source.checksum or locked, progressbar=progressbar)
    except requests.RequestException as error:
        raise _explained(error, source, destination) from error
    except ValueError as error:
        raise DownloadError(_wrong_checksum(source, lock, str(error))) from error
    try:
        problem = damage(path)
    except RefusedArchiveError as error:
        raise DownloadError(_by_hand(source, destination, f"{path} is not unpacked: {error}")) from error
    if problem:
        # What the user put there stays the user's; what was fetched just now would only be in the way.
        if not by_hand:
            path.unlink()
        action = f"Delete {path} and run" if by_hand else "It was deleted; run"
        raise DownloadError(
            f"{source.name}: the archive is damaged ({problem}). {action} the command again.\n  URL: {source.url}"
        )
    return path


def _explained(error: requests.RequestException, source: Source, destination: Path) -> DownloadError:
    if isinstance(error, requests.HTTPError):
        return DownloadError(_by_hand(source, destination, f"{_host(source)} answered with status {status_of(error)}"))
    # requests reports a silence in the middle of a transfer as a failed connection.
    fell_silent = bool(error.args) and isinstance(error.args[0], ReadTimeoutError)
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or (
        fell_silent and not isinstance(error, requests.Timeout)
    ):
        return DownloadError(
            f"{source.name}: the transfer broke off. What arrived is kept: run the command again to go on.\n"
            f"  URL: {source.url}"
        )
    return UnreachableError(_by_hand(source, destination, f"{_host(source)} cannot be reached ({_reason(error)})"))


def _by_hand(source: Source, destination: Path, what: str) -> str:
    layout = source.layout().replace("\n", "\n    ")
    return (
        f"{source.name}: {what}.\n"
        f"  URL: {source.url}\n"
        f"  By hand: save that archive as {archive_path(source, destination)} and run the command again,\n"
        f"  or lay the set out below {destination}:\n    {layout}"
    )


def _wrong_checksum(source: Source, lock: Lock, detail: str) -> str:
    origin = "its published checksum" if source.checksum else f"the one of its first download, in {lock.path}"
    accept = "" if source.checksum else f" To accept the new archive, delete '{source.name}' from that file."
    return f"{source.name}: the archive is refused, it does not have {origin}. {detail}{accept}\n  URL: {source.url}"


def _host(source: Source) -> str:
    return urlsplit(source.url).netloc


def _reason(error: BaseException) -> str:
    """The innermost reason of a failed connection, which libraries wrap several times."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
