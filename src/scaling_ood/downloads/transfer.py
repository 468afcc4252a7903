"""One archive over HTTP, through pooch, going on where an interrupted transfer broke off."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pooch
import requests

TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 16


def transfer(url: str, target: Path, checksum: str | None, *, progressbar: bool = True) -> None:
    """Make `target` the whole archive.

    A target that is already there and has the checksum (any, where there is none) is left as it is. What has arrived
    of an unfinished transfer waits in `<target>.part`; only a complete file with the right checksum becomes it.

    Raises:
        requests.RequestException: The host cannot be reached, refused, or the transfer broke off.
        ValueError: The archive has another checksum; it is not kept.
    """
    pooch.get_logger().setLevel("ERROR")
    downloader = _Resuming(target.with_name(f"{target.name}.part"), progressbar)
    pooch.retrieve(url, checksum, fname=target.name, path=target.parent, downloader=downloader)


def status_of(error: requests.HTTPError) -> int | None:
    """The status that a host answered with."""
    return error.response.status_code if error.response is not None else None


class _Resuming:
    """A pooch downloader that keeps the bytes of a broken transfer and asks only for the rest.

    A host that does not know ranges (GitHub's archives) sends everything again, which replaces what was there.
    """

    def __init__(self, part: Path, progressbar: bool) -> None:
        self._part = part
        self._progressbar = progressbar

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        try:
            self._stream(url)
        except requests.HTTPError as error:
            if status_of(error) != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            # Nothing is missing, or the archive became shorter: only a fresh start can tell.
            self._part.unlink()
            self._stream(url)
        os.replace(self._part, output_file)

    def _stream(self, url: str) -> None:
        with self._part.open("ab") as file:
            # Compressed on the way, the length and the ranges would be those of something else than the file.
            headers = {"Accept-Encoding": "identity"}
            if start := file.tell():
                headers["Range"] = f"bytes={start}-"

            def on_response(response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
                if response.status_code == HTTPStatus.OK:
                    file.truncate(0)

            download = pooch.HTTPDownloader(
                progressbar=self._progressbar,
                chunk_size=_CHUNK_BYTES,
                timeout=TIMEOUT_S,
                headers=headers,
                hooks={"response": on_response},
            )
            download(url, file, None)
