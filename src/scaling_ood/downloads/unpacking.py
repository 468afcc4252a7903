"""Lays out what is wanted of an archive.

pooch's own processors do not do this safely. `Untar` gives tarfile no filter before Python 3.12, so that files can
leave their folder. Both take a file that was cut off by a kill for a whole one, and neither limits what an archive
becomes. Here a name in the archive only chooses among the places that its source admits, and links are never made.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, is_zipfile

from scaling_ood.wording import in_bytes

MOST_TIMES = 100
"""How much larger than itself an archive may become: images do not shrink, lists of them ten- to twentyfold."""

LITTLE_BYTES = 10**9
"""What any archive may become."""

FILE_BYTES = 4096
"""What a file costs besides its content, so that empty ones do not come for nothing."""

DAMAGES = (BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)
"""What is raised by an archive that is cut off, changed on the way, or something else altogether."""


def unpack(archive: Path, place: Callable[[str], str | None], folder: Path) -> None:
    """Write the files of a zip or tar into a folder.

    Args:
        archive: The archive; its ending does not matter.
        place: Where a file of this name goes below the folder; None leaves it out.
        folder: An empty folder.

    Raises:
        ValueError: It would fill the disk, or leave the folder.
        RuntimeError: It is encrypted, or compressed in a way that Python cannot read.
        DAMAGES: It is damaged: a file of a zip does not agree with its CRC, for example.
        OSError: A file cannot be written.
    """
    packed, free = archive.stat().st_size, shutil.disk_usage(folder).free
    total = 0
    for name, size, opened in _members(archive):
        total += size + FILE_BYTES
        if total > max(LITTLE_BYTES, MOST_TIMES * packed):
            raise ValueError(
                f"it unpacks to {in_bytes(total)} or more, over {MOST_TIMES} times its {in_bytes(packed)}: no images do"
            )
        if total > free:
            raise ValueError(f"it unpacks to {in_bytes(total)} or more, and the disk has {in_bytes(free)}")
        if opened is None or (below := place(name)) is None:
            continue
        target = folder / below
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"its file {name} would leave the folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened() as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)


def _members(archive: Path) -> Iterator[tuple[str, int, Callable[[], IO[bytes]] | None]]:
    """Name, size in bytes and how to open each member, in the archive's order; only regular files can be opened.

    No member gives more bytes than its size.
    """
    if is_zipfile(archive):
        with ZipFile(archive) as packed:
            for entry in packed.infolist():
                yield entry.filename, entry.file_size, None if entry.is_dir() else partial(packed.open, entry)
    else:
        with tarfile.open(archive) as packed:
            for member in packed:
                yield member.name, member.size, partial(_open, packed, member) if member.isfile() else None


def _open(packed: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = packed.extractfile(member)
    assert file is not None, member.name
    return file
