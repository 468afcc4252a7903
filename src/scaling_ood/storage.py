"""Where files lie: on this machine, or in an object store. The one place that knows of stores.

An address is a local path, `file://…`, or `<store>://<bucket>/…`. A store has no folders, no rename and no locks. It
has one strong promise: what one upload writes is there as a whole or not at all. All that is stored rests on that.

A place in a store has pathlib's methods and is no `os.PathLike`: what can read local files alone fails with it, and
never reads a local folder `s3:` in its stead.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from scaling_ood.optional import library
from scaling_ood.wording import did_you_mean

STORES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "memory": ""}
"""Which stores there are, and the package that each needs. Of each, an upload is seen as a whole or not at all."""

_EXTRAS = {"s3fs": "s3", "gcsfs": "gs"}
"""Package to the project's extra that installs it."""

AT_A_TIME = 16
"""Requests that wait for a store at the same time."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOCAL = ("file", "local")

_access: dict[str, dict[str, Any]] = {}
"""Address to what opens all below it: credentials and such."""

One = TypeVar("One")
Other = TypeVar("Other")


class StorageError(ValueError):
    """An address that is not served, or not for this; says why in words."""


class Address(str):
    """Text of a place in a store; a process that is sent it can open it, since it brings what opens it."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """With what opens it, of which a pickle of many holds one copy."""
        return _received, (str(self), _access_of(self))


def place(address: str, credentials: Mapping[str, Any] | None = None, fs_args: Mapping[str, Any] | None = None) -> Path:
    """The place at an address, local or in a store; typed as what both can do.

    Args:
        address: A local path, `file://…`, or `<store>://<bucket>/…`.
        credentials: What opens the store, as its fsspec class takes it; without any, those of an address above it that
            was opened before, or of the machine.
        fs_args: More for that class, such as `endpoint_url`.

    Raises:
        StorageError: It is in no store that serves.
        MissingLibraryError: The store needs a package that is not installed.
    """
    scheme = _scheme(address)
    if not scheme:
        if (start := address.partition(":/")[0]) in STORES and start != address:
            raise StorageError(f"{address}: an address of a store has two slashes: {start}://<bucket>/<folder>")
        return Path(address)
    if scheme in _LOCAL:
        return Path("/" + address.partition("://")[2].lstrip("/"))
    if (written := address.partition("://")[0]) not in STORES:
        raise StorageError(
            f"{address}: '{written}://' does not serve{did_you_mean(written, [*STORES, 'file'])}. Give a local "
            "folder, or a store in which what one upload writes is there as a whole or not at all"
        )
    if not address.partition("://")[2].strip("/"):
        raise StorageError(f"{address}: no bucket is named; an address is {scheme}://<bucket>/<folder>")
    if STORES[scheme]:
        library(STORES[scheme], address, _EXTRAS[STORES[scheme]])
    from upath import UPath

    given = {**{name: value for name, value in (fs_args or {}).items() if not name.startswith("open_args")}}
    given |= credentials or {}
    address = address.rstrip("/")
    if given:
        _access[address] = given
    # What another process writes must be seen at once.
    return cast(Path, UPath(address, **{**_access_of(address), "use_listings_cache": False}))


def local(address: str, what: str) -> Path:
    """The place at an address that must be on this machine.

    Raises:
        StorageError: It is in a store; `what` is there begins the reason.
    """
    found = place(address)
    if is_stored(found):
        raise StorageError(f"{address}: {what} only from a local disk: copy it there, and name that place")
    return found


def refuse_store(folder: Path, what: str) -> None:
    """Make sure that a folder is on this machine; errors as of `local`."""
    if is_stored(folder):
        local(str(folder), what)


def is_stored(where: str | Path) -> bool:
    """Whether a place or an address is in a store.

    >>> is_stored("s3://bucket/a.png"), is_stored("file:///a.png"), is_stored("sets/a.png")
    (True, False, False)
    """
    if isinstance(where, str):
        return _scheme(where) not in ("", *_LOCAL)
    return not isinstance(where, PurePath)


def address_of(where: str | Path) -> str:
    """Text of a place, which can be sent to other processes; below it, `/` and names."""
    text = str(where)
    return Address(text) if is_stored(text) else text


def below(root: str, folder: str) -> str:
    """Address of a folder below another one. Names in a store are text, of which `.` is no part.

    >>> below("s3://bucket/sets", "."), below("s3://bucket/sets", "./a//b"), below("/sets", "a")
    ('s3://bucket/sets', 's3://bucket/sets/a/b', '/sets/a')
    """
    if not is_stored(root):
        return f"{root}/{folder}"
    return "/".join([root.rstrip("/"), *(name for name in folder.split("/") if name not in ("", "."))])


def read(address: str, most: int) -> bytes:
    """The first bytes of a file in a store, in one request; safe in forked processes.

    Raises:
        OSError: It is not there, or must not be read.
    """
    # A file system of before a fork hangs; this one is remembered per process.
    from fsspec import filesystem

    system = filesystem(_scheme(address), **_access_of(address))
    place_in = system._strip_protocol(address)
    try:
        return bytes(system.cat_file(place_in, end=most))
    except OSError:
        if system.exists(place_in) and not system.size(place_in):  # of nothing, no range can be satisfied
            return b""
        raise


def listed_at_once(folder: Path) -> Path:
    """A folder of which all names are known, by one listing where it is in a store; they may be old later."""
    if not is_stored(folder):
        return folder
    from upath import UPath

    known = UPath(str(folder), **_access_of(str(folder)))
    known.fs.invalidate_cache()
    known.fs.find(known.path)
    return cast(Path, known)


def names_in(folder: Path) -> list[tuple[str, bool]]:
    """Name of each file and folder in a folder of a store, and whether it is a folder; sorted."""
    system, inside = _opened(folder)
    found = system.ls(inside, detail=True)
    named = [(each["name"].rstrip("/").rpartition("/")[2], each["type"] == "directory") for each in found]
    # An empty file that ends with a slash is how some programs make a folder.
    return sorted(each for each, one in zip(named, found, strict=True) if one["name"].rstrip("/") != inside)


def write(where: Path, content: bytes) -> None:
    """Put a file into a store, in one upload."""
    system, inside = _opened(where)
    system.pipe_file(inside, content)


def upload(source: Path, where: Path, last: str) -> None:
    """Put a local file into a store in one upload; of a folder each file, in place of those that are there.

    Args:
        source: File or folder.
        where: In the store.
        last: Name of the file in a folder that vouches for the others: it is removed first and written last.
    """
    system, inside = _opened(where)
    if source.is_file():
        system.put_file(str(source), inside)
        return
    old = {name.removeprefix(f"{inside}/") for name in system.find(inside)}
    new = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    if last in old:
        system.rm_file(f"{inside}/{last}")
    names = sorted(new - {last})
    if names:
        system.put([str(source / name) for name in names], [f"{inside}/{name}" for name in names])
    if gone := sorted(old - new - {last}):
        system.rm([f"{inside}/{name}" for name in gone])
    if last in new:
        system.put_file(str(source / last), f"{inside}/{last}")


def move(source: Path, where: Path, last: str) -> None:
    """Give a folder another place in its store, where nothing is.

    Args:
        source: The folder.
        where: Its new place.
        last: Name of the file in it without which it counts as none: it is written last and removed first.
    """
    system, inside = _opened(source)
    _, target = _opened(where)
    names = sorted(name.removeprefix(f"{inside}/") for name in system.find(inside))
    others = [name for name in names if name != last]
    for some in (others, [last] if last in names else []):
        if some:
            system.copy([f"{inside}/{name}" for name in some], [f"{target}/{name}" for name in some])
    if last in names:
        system.rm_file(f"{inside}/{last}")
    if others:
        system.rm([f"{inside}/{name}" for name in others])


def remove(where: Path) -> None:
    """Remove a file or folder from a store, if it is there."""
    system, inside = _opened(where)
    if system.exists(inside):
        system.rm(inside, recursive=True)


@contextmanager
def local_copy(where: Path) -> Iterator[Path]:
    """A file or folder on this machine for as long as it is needed: itself, or a copy of what is in a store."""
    if not is_stored(where):
        yield where
        return
    system, inside = _opened(where)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / where.name
        if system.isdir(inside):
            for name in system.find(inside):
                target = copy / name.removeprefix(f"{inside}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                system.get_file(name, str(target))
        else:
            system.get_file(inside, str(copy))
        yield copy


def identity(where: Path) -> str:
    """What tells a place from all others: its address, and where the server is, if that was said."""
    access = _access_of(str(where))
    return f"{where} {access.get('endpoint_url', '')} {access.get('client_kwargs', '')}"


def looks(where: Path) -> str:
    """What a store tells of a file or folder without reading it; it changes with the content. Empty: not there."""
    system, inside = _opened(where)
    found = system.find(inside, detail=True)
    told = [(name.removeprefix(inside), one["size"], _mark(one)) for name, one in sorted(found.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16] if told else ""


def each(where: Path, of: Callable[[One], Other], items: Iterable[One]) -> list[Other]:
    """A function of each item, in order; many at a time where the work is to wait for the store of `where`."""
    if not is_stored(where):
        return [of(item) for item in items]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(of, items))


def problem(error: BaseException) -> str:
    """What to tell a person of an error of a store's own library; empty for any other error."""
    told = f"The object store did not do what was asked ({type(error).__name__}: {error})"
    if _is_of_a_library(error):
        return told
    # s3fs raises Python's own errors in place of the store's.
    if not _is_of_a_library(error.__cause__):
        return ""
    if isinstance(error, PermissionError):
        return f"{told}. What opens it is the entry of credentials.yml that `credentials` names, or the machine's own"
    refusal = getattr(error.__cause__, "response", {}).get("Error", {})
    if refusal.get("Code") == "NoSuchBucket":
        return f"{told}. A run makes no bucket: make {refusal.get('BucketName', 'it')} first"
    return ""


def _is_of_a_library(error: BaseException | None) -> bool:
    return type(error).__module__.partition(".")[0] in ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")


def _mark(found: Mapping[str, Any]) -> str:
    known = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "updated", "last_modified", "created")
    return next((str(found[name]).strip('"') for name in known if found.get(name)), "")


def _scheme(address: str) -> str:
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def _opened(where: Path) -> tuple[Any, str]:
    """File system of a place in a store, and the place in it."""
    stored: Any = where
    return stored.fs, stored.path.rstrip("/")


def _access_of(address: str) -> dict[str, Any]:
    """What opens an address, by the nearest one above it of which that was said."""
    above = [known for known in _access if address == known or address.startswith(f"{known}/")]
    return _access[max(above, key=len)] if above else {}


def _received(address: str, access: dict[str, Any]) -> Address:
    if access and _access_of(address) != access:
        _access[address] = access
    return Address(address)
