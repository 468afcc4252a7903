"""Images that are no files of their own: `<container>::<key>` stands for one inside a database or a batch.

Two kinds of containers are known by their names: LMDB databases, `…_lmdb`, and the batches of CIFAR-10,
`cifar-10-batches-py/…`. Any other path is a file's, whatever its name, and so is one by which there is a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from scaling_ood.images import cifar_batches, lmdb_images
from scaling_ood.images.files import is_there, read_file
from scaling_ood.storage import is_stored

SEPARATOR = "::"

_KINDS: tuple[tuple[re.Pattern[str], Callable[[str, str], bytes]], ...] = (
    (re.compile(r"[^/\\]+_lmdb$"), lmdb_images.read_image_bytes),
    (re.compile(rf"{cifar_batches.FOLDER}[/\\][^/\\]+$"), cifar_batches.read_image_bytes),
)


def inside(container: str, key: str) -> str:
    """The path of an image inside a container.

    >>> inside("test_lmdb", "0001c44e")
    'test_lmdb::0001c44e'
    """
    return f"{container}{SEPARATOR}{key}"


def read_bytes(path: str) -> bytes:
    """The bytes of an image file, wherever it is; an image of raw pixels is given as a PPM file.

    Raises:
        OSError: There is no such image, or it is no file that is read (see `files`).
        MissingLibraryError: The container needs a package that is not installed.
    """
    container = container_of(path)
    for name, read in _KINDS if container else ():
        if name.search(container):
            return read(container, path[len(container) + len(SEPARATOR) :])
    return read_file(path)


def container_of(path: str) -> str:
    """The container that an image is in; empty for one that is a file of its own, whatever it is called.

    In an object store there are files alone.

    >>> container_of("test_lmdb::0001c44e"), container_of("sets/a::b.png")
    ('test_lmdb', '')
    """
    container, separator, _ = path.rpartition(SEPARATOR)
    known = separator and any(name.search(container) for name, _ in _KINDS)
    return container if known and not is_stored(path) and not is_there(path) else ""
