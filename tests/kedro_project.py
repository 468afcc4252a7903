"""A copy of the project to run commands in, as a person does."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from kedro.framework.cli import main

ROOT = Path(__file__).parents[1]
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["kedro_mlflow.framework.hooks", "sklearn.ensemble", "torchmetrics", "torchvision"])
LABEL_DETECTORS = [
    "max_logit",
    "msp",
    "logit_avg",
    "mc_dropout",
    "isolation_forest",
    "local_outlier_factor",
    "energy",
    "joint_energy",
]
"""Detectors of the multi-label setting that `kedro run --env test` runs, in the order of its table."""
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
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "output.txt"
            process = self._start(arguments, env, output)
            process.join()
            return Outcome(process.exitcode, output.read_text())

    def run(self, *arguments: str, env: str | None = "test") -> Outcome:
        """`kedro run` that must succeed."""
        outcome = self.kedro("run", *arguments, env=env)
        assert outcome.code == 0, outcome.output
        return outcome

    def kill_when(self, *arguments: str, exists: str) -> None:
        """Start `kedro`, and `kill -9` it as soon as a file that matches the pattern exists."""
        process = self._start(arguments, "test", Path(os.devnull))
        deadline = time.monotonic() + 120
        while not list(self.path.glob(exists)):
            assert process.is_alive(), "ended before it could be killed"
            assert time.monotonic() < deadline, f"no {exists}"
            time.sleep(0.01)
        process.kill()
        process.join()

    def product(self, path: str) -> Path:
        """A file under `data/`, in which `*` stands for the benchmark `test` and the multi-class setting."""
        return self.path / "data" / path.replace("*", "test/multi_class")

    def results(self) -> pd.DataFrame:
        """The results table."""
        return pd.read_csv(self.product("08_reporting/*/results.csv"))

    def _start(self, arguments: tuple[str, ...], env: str | None, output: Path) -> multiprocessing.Process:
        chosen = ["--env", env] if env and arguments[0] == "run" else []
        process = SERVER.Process(target=_kedro, args=(self.path, [*arguments, *chosen], output, dict(os.environ)))
        process.start()
        return process


def _kedro(path: Path, arguments: list[str], output: Path, environment: dict[str, str]) -> None:
    """Be the command `kedro`, in a process that is forked from one which has loaded the large libraries already."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(path)
    os.environ.clear()
    os.environ |= {name: value for name, value in environment.items() if not name.startswith(("MLFLOW", "KEDRO"))}
    os.environ |= {"PYTHONPATH": str(path / "src"), "DO_NOT_TRACK": "1"}
    sys.path.insert(0, str(path / "src"))
    sys.argv = ["kedro", *arguments]
    main()
