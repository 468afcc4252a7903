"""A host on this machine that serves fabricated archives, and a small set that is fetched from it."""

import io
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scaling_ood.downloads import Expected, Source, fetch


@dataclass
class Host:
    """Its archives by path, and what it was asked for; `breaks_after` bytes it hangs up, once,
    having been silent for `silence_s` seconds."""

    url: str = ""
    archives: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int | None = None
    silence_s: float = 0
    requests: list[str] = field(default_factory=list)


def _handler(host):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            host.requests.append(self.path)
            body = host.archives.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            end, host.breaks_after = host.breaks_after, None
            self.wfile.write(body[:end])
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


def fetched(source, folder):
    """How one set ended."""
    return fetch(source, folder, lambda _: None)


def zipped(members):
    """The bytes of a stored (not compressed) zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(members, *, compressed=False, links=()):
    """The bytes of a tar; a link is (kind, name, target), and comes before the files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if compressed else "w") as archive:
        for kind, name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


ARCHIVE = zipped({f"top/{n}.bin": bytes([n]) * 100_000 for n in range(3)})


@pytest.fixture
def source(host):
    host.archives["/bits.zip"] = ARCHIVE
    keep = {r"(\d\.bin)": r"\1"}
    return Source("bits", f"{host.url}/bits.zip", None, "Free for all.", keep, (Expected("*.bin", 3, "binary files"),))


@pytest.fixture
def unreachable(source):
    # Port 9 of the own machine: nothing listens there.
    return replace(source, name="far", url="http://127.0.0.1:9/far.zip")
