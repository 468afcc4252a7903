"""Zips and tars behind one face: the files of an archive by name, and whether the archive is whole."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from contextlib import AbstractContextManager
from functools import cached_property
from os import devnull
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile, is_zipfile

from scaling_ood.images.wording import in_bytes, listed

MOST_MEMBERS = 20_000_000
"""Files in an archive: more than ImageNet-21K has."""

MOST_TIMES = 100
"""How much larger than itself an archive may become: images do not shrink, lists of them ten- to twentyfold."""

LITTLE_BYTES = 10**9
"""What any archive may become."""

_ZIP_METHODS = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA)
_OTHER_METHODS = {9: "Deflate64", 93: "Zstandard", 95: "xz", 98: "PPMd"}


class RefusedArchiveError(ValueError):
    """An archive is not unpacked; the text says why."""


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

    Raises:
        RefusedArchiveError: It is whole, but is not unpacked: it would fill the disk, or nothing here can read it.
    """
    try:
        return _damage_of_zip(path) if is_zipfile(path) else _damage_of_tar(path)
    except (BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        # tarfile lists, in further lines, what each of its readers says.
        return (str(error) or type(error).__name__).splitlines()[0]


def _damage_of_zip(path: Path) -> str:
    with ZipFile(path) as archive:
        members = archive.infolist()
        if encrypted := [member.filename for member in members if member.flag_bits & 1]:
            raise RefusedArchiveError(f"{listed(encrypted, most=1)} is encrypted; no set here has a password")
        if unknown := [member for member in members if member.compress_type not in _ZIP_METHODS]:
            method = _OTHER_METHODS.get(unknown[0].compress_type, str(unknown[0].compress_type))
            raise RefusedArchiveError(
                f"{unknown[0].filename} is compressed by method {method}, which Python cannot read: unpack it with "
                "7-Zip, and pack it anew as a plain zip"
            )
        # A member gives no more than its entry says, so the entries are all that has to be looked at.
        _refuse_excess(len(members), sum(member.file_size for member in members), path)
        member = archive.testzip()
    return f"member {member} fails its CRC" if member else ""


def _damage_of_tar(path: Path) -> str:
    members = total = 0
    with tarfile.open(path) as tar, open(devnull, "wb") as nowhere:
        for entry in tar:
            members, total = members + 1, total + entry.size
            _refuse_excess(members, total, path)
            if (file := tar.extractfile(entry) if entry.isfile() else None) is not None:
                shutil.copyfileobj(file, nowhere)
        # The checksum of a compressed one comes after the tar's own end.
        assert tar.fileobj is not None
        while tail := tar.fileobj.read(1 << 20):
            total += len(tail)
            _refuse_excess(members, total, path)
    return ""


def _refuse_excess(members: int, total: int, path: Path) -> None:
    packed = path.stat().st_size
    if members > MOST_MEMBERS:
        raise RefusedArchiveError(f"it holds more than {MOST_MEMBERS:,} files")
    if total > max(LITTLE_BYTES, MOST_TIMES * packed):
        raise RefusedArchiveError(
            f"it unpacks to {in_bytes(total)} or more, over {MOST_TIMES} times its {in_bytes(packed)}: no images do"
        )
    free = shutil.disk_usage(path.parent).free
    if total > free:
        raise RefusedArchiveError(f"it unpacks to {in_bytes(total)} or more, and the disk has {in_bytes(free)}")
