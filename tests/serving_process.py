"""A model server on loopback, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TOOLS = str(Path(sys.executable).parent)
_PATIENCE = 120


@dataclass(frozen=True)
class Server:
    """Where it listens."""

    port: int

    @property
    def url(self) -> str:
        """What answers."""
        return f"http://127.0.0.1:{self.port}/invocations"

    def ask(self, body: Any, kind: str = "application/json") -> tuple[int, Any]:
        """Status and content of an answer; a body that is not bytes becomes JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urlopen(Request(self.url, content, {"Content-Type": kind}), timeout=_PATIENCE) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, error.read().decode()

    def scores(self, images: list[str]) -> list[dict[str, Any]]:
        """Answers to images in Base64."""
        status, content = self.ask({"dataframe_records": [{"image": each} for each in images]})
        assert status == 200, content
        found: list[dict[str, Any]] = content["predictions"]
        return found


@contextmanager
def served(*command: str, cwd: Path, **environment: str) -> Iterator[Server]:
    """Start a server and wait until it answers; `{port}` in the command is where it shall listen."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "KEDRO"))}
    env = {**kept, "PATH": f"{TOOLS}{os.pathsep}{kept['PATH']}", "SCALING_OOD_DEVICE": "cpu", **environment}
    log = cwd / f"server-{port}.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [each.format(port=port) for each in command],
            cwd=cwd,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(port, process, log)
        yield Server(port)
        assert process.poll() is None, log.read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=_PATIENCE)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
