"""Zips and tars behind one face: the files of an archive by name, and whether the archive is whole."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from contextlib import AbstractContextManager
from functools import cached_property
from os import devnull
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self
from zipfile import BadZipFile, ZipFile, is_zipfile


class Archive(Protocol):
    """What laying a set out needs of an archive."""

    def namelist(self) -> list[str]:
        """Names of its members, in its order."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A member, to be read."""
        ...

    def read(self, name: str) -> bytes:
        """A member's bytes."""
        ...


class TarArchive:
    """A tar, compressed or not; links and other members that are no files do not count."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            tarfile.TarError: It is no tar.
            OSError: It cannot be read.
        """
        self._tar = tarfile.open(path)  # noqa: SIM115

    def __enter__(self) -> Self:
        """The archive itself."""
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close it."""
        self._tar.close()

    def namelist(self) -> list[str]:
        """Names of its files, in its order, without a leading `./`."""
        return list(self._files)

    def open(self, name: str) -> IO[bytes]:
        """A file, to be read.

        Raises:
            KeyError: It holds no such file.
        """
        file = self._tar.extractfile(self._files[name])
        assert file is not None
        return file

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            KeyError: It holds no such file.
        """
        with self.open(name) as file:
            return file.read()

    @cached_property
    def _files(self) -> dict[str, tarfile.TarInfo]:
        return {member.name.removeprefix("./"): member for member in self._tar.getmembers() if member.isfile()}


def open_archive(path: Path) -> AbstractContextManager[Archive]:
    """An archive, whatever its kind.

    Raises:
        zipfile.BadZipFile: It is a damaged zip.
        tarfile.TarError: It is neither a zip nor a tar.
    """
    return ZipFile(path) if is_zipfile(path) else TarArchive(path)


def damage(path: Path) -> str:
    """What is wrong with an archive; empty for a whole one.

    Every member of a zip must agree with its CRC. A tar has checksums of its headers only: all of it is read, which
    finds what is cut off, and what is wrong with a compressed one.
    """
    try:
        if is_zipfile(path):
            with ZipFile(path) as archive:
                member = archive.testzip()
            return f"member {member} fails its CRC" if member else ""
        with tarfile.open(path) as tar, open(devnull, "wb") as nowhere:
            for entry in tar:
                if (file := tar.extractfile(entry) if entry.isfile() else None) is not None:
                    shutil.copyfileobj(file, nowhere)
            # The checksum of a compressed one comes after the tar's own end.
            assert tar.fileobj is not None
            while tar.fileobj.read(1 << 20):
                pass
    except (BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError) as error:
        # tarfile lists, in further lines, what each of its readers says.
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""
