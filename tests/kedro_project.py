"""A copy of the project to run commands in, as a person does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
KEDRO = Path(sys.executable).with_name("kedro")
SCENE_DETECTORS = [
    "msp",
    "max_logit",
    "background",
    "confidence_branch",
    "mc_dropout",
    "autoencoder",
    "energy",
    "logit_avg",
    "kl_matching",
]
"""Detectors of the segmentation setting that `kedro run --env test` runs, in the order of its table."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: str


@dataclass(frozen=True)
class Project:
    """A folder with the project's configuration, its code, and products of its own."""

    path: Path

    @classmethod
    def copy(cls, path: Path) -> Project:
        """The project without products."""
        path.mkdir(parents=True)
        shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
        (path / "conf/local").mkdir()
        shutil.copytree(ROOT / "notebooks", path / "notebooks")
        shutil.copy(ROOT / "pyproject.toml", path)
        (path / "data/01_raw").mkdir(parents=True)
        shutil.copytree(ROOT / "src", path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        return cls(path)

    def twin(self, path: Path) -> Project:
        """The same with all products, in another folder; the store of tracked runs stays behind."""
        shutil.copytree(self.path, path, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
        return Project(path)

    def kedro(self, *arguments: str, env: str | None = "test") -> Outcome:
        """Run `kedro` to its end; `kedro run` in the environment `test` unless told otherwise."""
        done = subprocess.run(self._command(arguments, env), capture_output=True, check=False, **self._options())
        return Outcome(done.returncode, done.stdout + done.stderr)

    def run(self, *arguments: str, env: str | None = "test") -> Outcome:
        """`kedro run` that must succeed."""
        outcome = self.kedro("run", *arguments, env=env)
        assert outcome.code == 0, outcome.output
        return outcome

    def kill_when(self, *arguments: str, exists: str) -> None:
        """Start `kedro`, and `kill -9` it as soon as a file that matches the pattern exists."""
        process = subprocess.Popen(
            self._command(arguments, "test"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._options()
        )
        deadline = time.monotonic() + 120
        while not list(self.path.glob(exists)):
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline, f"no {exists}"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def product(self, path: str) -> Path:
        """A file under `data/`, in which `*` stands for the benchmark `test` and the multi-class setting."""
        return self.path / "data" / path.replace("*", "test/multi_class")

    def results(self) -> pd.DataFrame:
        """The results table."""
        return pd.read_csv(self.product("08_reporting/*/results.csv"))

    def _command(self, arguments: tuple[str, ...], env: str | None) -> list[str]:
        chosen = ["--env", env] if env and arguments[0] == "run" else []
        return [str(KEDRO), *arguments, *chosen]

    def _options(self) -> dict:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "KEDRO"))}
        path = {"PYTHONPATH": str(self.path / "src")}
        return {"cwd": self.path, "text": True, "env": inherited | path | {"DO_NOT_TRACK": "1"}}
