"""Processes that render in parallel: what they load, and when they end."""

import subprocess
import sys

import psutil

from miniatures import MiniatureSpec, folders, rendering_workers
from miniatures.composite import CompositeSpec, composite_folders
from miniatures.street import StreetSpec, street_folders


def test_a_process_that_renders_loads_neither_scaling_ood_nor_its_frameworks(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    requests = {folders: MiniatureSpec(), composite_folders: CompositeSpec(), street_folders: StreetSpec()}
    with rendering_workers() as pool:
        for listed, spec in requests.items():
            assert pool.submit(listed, spec).result() == listed(spec)
        loaded = set(pool.submit(eval, "[*__import__('sys').modules]").result())
    assert {"miniatures", "miniatures.composite", "miniatures.street"} <= loaded
    assert not loaded & {"scaling_ood", "kedro", "mlflow", "omegaconf", "torch", "pandas"}


PARENT = """
import os, time
from miniatures import rendering_workers

if __name__ == "__main__":
    with rendering_workers() as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
        pool.submit(time.sleep, 60).result()
"""


def test_a_process_that_renders_ends_with_its_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        workers = [psutil.Process(int(number)) for number in parent.stdout.readline().split()]
        parent.kill()
    assert workers
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert (len(gone), alive) == (len(workers), [])
