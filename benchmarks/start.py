"""What starting costs: a second `kedro run`, one detector's report, `kedro --help`, `kedro score --help`.

Runs in a copy of a project in which `kedro run` has finished, by default of this one: `start.py [PROJECT]`.
Seconds of the processor stand beside those of the clock: other work on the machine moves only the latter by much.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from timing import table

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "a second kedro run": (["kedro", "run"], 15),
    "one detector's report": (
        ["kedro", "run", "--pipelines", "metric_reporting", "--namespaces", "multi_class.msp"],
        5,
    ),
    "kedro --help": (["kedro", "--help"], 3),
    "kedro score --help": (["kedro", "score", "--help"], None),
}
"""What is run, and the most seconds that it should take on an idle machine."""


def copy(project: Path, folder: Path) -> Path:
    """The project's configuration, products and tracked runs; the code is that of this repository."""
    for name in ("conf", "data", "mlartifacts"):
        if (project / name).is_dir():
            shutil.copytree(project / name, folder / name)
    for name in ("pyproject.toml", ".telemetry", "mlflow.db"):
        if (project / name).is_file():
            shutil.copy(project / name, folder)
    (folder / "src").mkdir()
    return folder


def seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Of the clock, and of the processor."""
    program = Path(sys.executable).parent / command[0]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DO_NOT_TRACK": "1"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([program, *command[1:]], cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int = 3) -> None:
    """Print the medians."""
    project = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    with tempfile.TemporaryDirectory() as place:
        folder = copy(project.resolve(), Path(place))
        seconds(["kedro", "run"], folder)  # what the copied products lack
        rows = []
        for name, (command, most) in COMMANDS.items():
            walls, processors = zip(*(seconds(command, folder) for _ in range(rounds)), strict=True)
            rows.append([name, f"{median(walls):.1f}", f"{median(processors):.1f}", str(most or "")])
    print(table(["medians, seconds", "clock", "processor", "at most"], rows))


if __name__ == "__main__":
    main()
