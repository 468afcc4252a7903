"""A server of S3 on the loopback interface, as a fixture; every test gets a bucket of its own."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scaling_ood import storage

_BUCKETS = itertools.count()


@dataclass(frozen=True)
class Bucket:
    """An empty bucket, and what opens it."""

    address: str
    credentials: dict[str, Any] = field(repr=False)

    def place(self, below: str = "") -> Path:
        """A place in it."""
        return storage.place("/".join([self.address, *filter(None, [below])]), self.credentials)

    def fill(self, folder: Path, below: str) -> str:
        """Put a local folder into it; returns the address."""
        storage.upload(folder, self.place(below), last="")
        return f"{self.address}/{below}"

    def names(self, below: str = "") -> set[str]:
        """All files in it."""
        place: Any = self.place(below)
        return {name.removeprefix(f"{place.path.rstrip('/')}/") for name in place.fs.find(place.path)}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Where a server of S3 answers."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_server: str) -> Bucket:
    """A new bucket of that server."""
    credentials = {"key": "a", "secret": "b", "endpoint_url": s3_server}
    found = Bucket(f"s3://bucket-{next(_BUCKETS)}", credentials)
    place: Any = found.place()
    place.fs.mkdir(place.path.rstrip("/"))
    return found


@pytest.fixture(params=["s3", "memory"])
def store(request: pytest.FixtureRequest) -> Bucket:
    """The same, and one in the memory."""
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        return bucket
    return Bucket(f"memory://bucket-{next(_BUCKETS)}", {})
