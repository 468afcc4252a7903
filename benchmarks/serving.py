"""A thousand requests from eight clients: how long each waits, and what memory the server takes.

Run: `python benchmarks/serving.py [MODEL [IMAGES]]`: the folder or address of a packaged model, and a folder of images;
by default those of the built-in benchmark (`kedro run --pipelines packaging`). Each request has one image.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import psutil
from timing import table

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "data/06_models/miniature/multi_class/package"
IMAGES = ROOT / "data/01_raw/miniature/multi_class/in_dist/val"
REQUESTS, CLIENTS, WARM_UP = 1000, 8, 8
COMMANDS = {
    "make serve": (sys.executable, "-m", "scaling_ood.serving", "{model}", "--port", "{port}"),
    "mlflow models serve": (
        *(str(Path(sys.executable).parent / "mlflow"), "models", "serve", "-m", "{model}"),
        *("-p", "{port}", "--env-manager", "local"),
    ),
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def processes(server: psutil.Process) -> list[psutil.Process]:
    """Of a server."""
    return [server, *server.children(recursive=True)]


def megabytes(server: psutil.Process) -> float:
    """Resident memory of the largest process of a server."""
    return max(each.memory_info().rss for each in processes(server)) / 1e6


def processor_seconds(server: psutil.Process) -> float:
    """What a server has computed; other work on the machine does not change it much."""
    return sum(sum(each.cpu_times()[:2]) for each in processes(server))


def measured(command: tuple[str, ...], model: str, bodies: list[bytes]) -> list[str]:
    """Latencies and memory of one server."""
    port = free_port()
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    started = time.perf_counter()
    server = subprocess.Popen(
        [each.format(model=model, port=port) for each in command],
        env={**os.environ, "PATH": tools},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while True:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
                break
            if server.poll() is not None:
                raise SystemExit(f"the server of {model} has ended: run it by hand to see why")
            time.sleep(0.1)
        ready = time.perf_counter() - started

        def ask(body: bytes) -> float:
            begun = time.perf_counter()
            request = Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
            with urlopen(request, timeout=120) as answer:
                json.load(answer)
            return time.perf_counter() - begun

        process = psutil.Process(server.pid)
        for body in bodies[:WARM_UP]:
            ask(body)
        before, computed = megabytes(process), processor_seconds(process)
        begun = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            seconds = np.array([*clients.map(ask, islice(cycle(bodies), REQUESTS))])
        whole = time.perf_counter() - begun
        waits = [f"{1000 * wait:.0f} ms" for wait in np.percentile(seconds, [50, 95, 99, 100])]
        memory = [f"{before:.0f} MB", f"{megabytes(process):.0f} MB"]
        each = f"{1000 * (processor_seconds(process) - computed) / REQUESTS:.0f} ms"
        return [f"{ready:.0f} s", *waits, f"{REQUESTS / whole:.0f}/s", each, *memory]
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def main() -> None:
    """Print one line for each way to serve."""
    model, images = _places()
    files = sorted(path for path in Path(images).rglob("*") if path.is_file())[:100]
    encoded = [base64.b64encode(file.read_bytes()).decode() for file in files]
    bodies = [json.dumps({"dataframe_records": [{"image": each}]}).encode() for each in encoded]
    size = np.mean([file.stat().st_size for file in files]) / 1000
    print(f"{REQUESTS:,} requests from {CLIENTS} clients, {len(files)} images of {size:.0f} kB on average\n")
    header = [
        "",
        "ready after",
        "median",
        "95 %",
        "99 %",
        "longest",
        "throughput",
        "processor each",
        "memory before",
        "after",
    ]
    print(table(header, [[name, *measured(command, model, bodies)] for name, command in COMMANDS.items()]))


def _places() -> tuple[str, str]:
    given = [*sys.argv[1:], None, None]
    return str(given[0] or MODEL), str(given[1] or IMAGES)


if __name__ == "__main__":
    main()
