"""A host on this machine that serves fabricated archives, and a small set that is fetched from it."""

import io
import re
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scaling_ood.downloads import Expected, Source


@dataclass
class Host:
    """Its archives by path, and what it was asked for; `breaks_after` bytes it hangs up, once,
    having been silent for `silence_s` seconds."""

    url: str = ""
    archives: dict[str, bytes] = field(default_factory=dict)
    knows_ranges: bool = True
    breaks_after: int | None = None
    silence_s: float = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)


def _handler(host):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            host.requests.append((self.path, wanted))
            body = host.archives.get(self.path)
            if body is None:
                self.send_error(404)
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and host.knows_ranges else 0
            if wanted and host.knows_ranges and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end, host.breaks_after = host.breaks_after, None
            self.wfile.write(body[start:end])
            if end is not None:
                time.sleep(host.silence_s)

        def log_message(self, *args):
            pass

    return Handler


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Host()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def zipped(members):
    """The bytes of a stored (not compressed) zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(members, *, compressed=False, link=None, folder=None):
    """The bytes of a tar; a link is (name, target)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if compressed else "w") as archive:
        for kind, name, target in ((tarfile.DIRTYPE, folder, ""), (tarfile.SYMTYPE, *(link or (None, "")))):
            if name is not None:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, target
                archive.addfile(entry)
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def take_all(archive: zipfile.ZipFile, folder: Path) -> None:
    for name in archive.namelist():
        (folder / Path(name).name).write_bytes(archive.read(name))


# Larger than pooch's chunk, so that a broken transfer leaves something behind.
ARCHIVE = zipped({f"top/{n}.bin": bytes([n]) * 100_000 for n in range(3)})


@pytest.fixture
def source(host):
    host.archives["/bits.zip"] = ARCHIVE
    return Source(
        "bits", f"{host.url}/bits.zip", None, "Free for all.", take_all, (Expected("*.bin", 3, "binary files"),)
    )


@pytest.fixture
def unreachable(source):
    # Port 9 of the own machine: nothing listens there.
    return replace(source, name="far", url="http://127.0.0.1:9/far.zip")
