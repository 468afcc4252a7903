"""A copy of the project to run commands in, as a person does."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from click.testing import CliRunner

if TYPE_CHECKING:
    from mlflow.entities import Run

ROOT = Path(__file__).parents[1]
SETTINGS = ("multi_class", "multi_label", "segmentation")
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["kedro_mlflow.framework.hooks", "scaling_ood.pipeline_registry", "sklearn.ensemble"])
DETECTORS = {
    "multi_class": [
        "msp",
        "max_logit",
        "kl_matching",
        "energy",
        "logit_avg",
        "confidence_branch",
        "rotation_msp",
        "rotation_max_logit",
        "odin",
        "odin_max_logit",
        "mc_dropout",
        "mahalanobis",
        "knn",
        "vim",
        "react",
        "ash",
        "gen",
        "temperature_scaling",
        "grouped_msp",
        "families_msp",
        "families_max_logit",
    ],
    "multi_label": [
        "max_logit",
        "msp",
        "logit_avg",
        "mc_dropout",
        "isolation_forest",
        "local_outlier_factor",
        "energy",
        "joint_energy",
    ],
    "segmentation": [
        "msp",
        "max_logit",
        "background",
        "confidence_branch",
        "mc_dropout",
        "autoencoder",
        "energy",
        "logit_avg",
        "kl_matching",
    ],
}
"""What `kedro run --env test` runs, in the order of the tables."""
NETWORKS = {
    "multi_class": {"classifier", "confidence_branch", "rotation", "dropout", "families"},
    "multi_label": {"classifier"},
    "segmentation": {"segmenter", "confidence_branch", "autoencoder"},
}
"""What these detectors read."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: str

    def refused(self, *words: str) -> None:
        """Make sure that the command failed with a message that has all these words, and without a traceback."""
        assert self.code != 0, self.output
        assert "Traceback" not in self.output, self.output
        for word in words:
            assert word in self.output, self.output


@dataclass(frozen=True)
class Project:
    """A folder with the project's configuration, and products of its own; the code is that under test."""

    path: Path

    @classmethod
    def copy(cls, path: Path) -> Project:
        """The project without products; its store of tracked runs is empty."""
        shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
        shutil.copy(ROOT / "pyproject.toml", path)
        for folder in ("conf/local", "data/01_raw", "src"):
            (path / folder).mkdir(parents=True)
        return cls(path)._with_a_store()

    def twin(self, path: Path) -> Project:
        """The same with all products, in another folder; its store of tracked runs is empty."""
        shutil.copytree(self.path, path, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
        return Project(path)._with_a_store()

    def kedro(self, *arguments: str, env: str | None = "test") -> Outcome:
        """Run `kedro` to its end, in this process; `kedro run` in the environment `test` unless told otherwise."""
        from kedro.framework.cli.cli import KedroCLI

        with as_if_alone(self.path) as log:
            result = CliRunner().invoke(KedroCLI(self.path), _in_environment(arguments, env))
        broken = result.exception is not None and not isinstance(result.exception, SystemExit)
        told = "".join(traceback.format_exception(result.exception)) if broken else ""
        return Outcome(result.exit_code, log.getvalue() + result.output + told)

    def run(self, *arguments: str, env: str | None = "test") -> Outcome:
        """`kedro run` that must succeed."""
        return _succeeded(self.kedro("run", *arguments, env=env))

    def run_apart(self, *arguments: str) -> Outcome:
        """The same as a command of its own, in a process of its own."""
        process = self.start("run", *arguments)
        process.join()
        return _succeeded(Outcome(process.exitcode or 0, self.printed.read_text()))

    @property
    def printed(self) -> Path:
        """What the last process printed that was started here."""
        return self.path / "printed.txt"

    def start(self, *arguments: str) -> multiprocessing.process.BaseProcess:
        """Start `kedro` in a process of its own, forked from one that has loaded the large libraries already."""
        self.printed.unlink(missing_ok=True)
        given = (self.path, _in_environment(arguments, "test"), self.printed, dict(os.environ))
        process = SERVER.Process(target=_kedro, args=given)
        process.start()
        return process

    def kill_when(self, *arguments: str, exists: str) -> None:
        """Start `kedro`, and `kill -9` it as soon as a file that matches the pattern exists."""
        process = self.start(*arguments)
        self.wait_for(exists, process)
        process.kill()
        process.join()

    def wait_for(self, exists: str, process: multiprocessing.process.BaseProcess) -> None:
        """Wait until a file that matches the pattern exists, while a process is alive."""
        while not list(self.path.glob(exists)):
            assert process.is_alive(), f"no {exists}\n{self.printed.read_text()}"
            time.sleep(0.01)

    def python(self, *arguments: str, cwd: Path | None = None) -> Outcome:
        """Python, in a process of its own that imports the code of this folder; for projects that have changed it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "KEDRO"))}
        environment = {**kept, "PYTHONPATH": str(self.path / "src"), "DO_NOT_TRACK": "1"}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.path, env=environment, capture_output=True, text=True, check=False
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def bring_code(self) -> None:
        """Give it code of its own, to be changed at will; `python` runs it."""
        shutil.copytree(
            ROOT / "src",
            self.path / "src",
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
            dirs_exist_ok=True,
        )

    def product(self, path: str, setting: str = "multi_class", env: str = "test") -> Path:
        """A file under `data/`, in which `*` stands for the benchmark and the setting."""
        return self.path / "data" / path.replace("*", f"{env}/{setting}")

    def results(self, setting: str = "multi_class", env: str = "test") -> pd.DataFrame:
        """The results table."""
        return pd.read_csv(self.product("08_reporting/*/results.csv", setting, env))

    def manifest(self, setting: str = "multi_class", env: str = "test") -> pd.DataFrame:
        """The table of all images."""
        return pd.read_parquet(self.product("02_manifests/*/manifest/rows.parquet", setting, env))

    def preparation(self, setting: str = "multi_class", env: str = "test") -> dict[str, Any]:
        """What is recorded beside it."""
        record = json.loads(self.product("02_manifests/*/manifest/record.json", setting, env).read_text())
        found: dict[str, Any] = record["fields"]["preparation"]
        return found

    def tracked(self, condition: str = "") -> list[Run]:
        """Runs in the store."""
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{self.path}/mlflow.db")
        experiment = client.get_experiment_by_name("scaling_ood")
        return [*client.search_runs([experiment.experiment_id], condition)] if experiment else []

    def _with_a_store(self) -> Project:
        from mlflow_store import empty_store

        empty_store(self.path)
        return self


def _in_environment(arguments: tuple[str, ...], env: str | None) -> list[str]:
    return [*arguments, *(["--env", env] if env and arguments[0] == "run" else [])]


def _succeeded(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.output
    return outcome


@contextmanager
def as_if_alone(path: Path) -> Iterator[StringIO]:
    """What a command leaves in its process is taken back; what it logs is caught."""
    from scaling_ood import structure

    log, root = StringIO(), logging.getLogger()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    before = (dict(os.environ), [*sys.path], dict(structure._bound), root.handlers)
    for name in [name for name in os.environ if name.startswith(("MLFLOW", "KEDRO"))]:
        del os.environ[name]
    os.environ["DO_NOT_TRACK"] = "1"
    root.handlers = [handler]
    try:
        with chdir(path), warnings.catch_warnings(action="ignore"):
            yield log
    finally:
        environment, sys.path[:], bound, root.handlers = before
        os.environ.clear()
        os.environ.update(environment)
        structure._bound.clear()
        structure._bound.update(bound)


def _kedro(path: Path, arguments: list[str], output: Path, environment: dict[str, str]) -> None:
    """Be the command `kedro`, in a forked process."""
    from kedro.framework.cli import main

    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(path)
    os.environ.clear()
    os.environ |= {name: value for name, value in environment.items() if not name.startswith(("MLFLOW", "KEDRO"))}
    os.environ |= {"DO_NOT_TRACK": "1"}
    sys.argv = ["kedro", *arguments]
    main()
