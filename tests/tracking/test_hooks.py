import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_mlflow.framework.hooks.mlflow_hook import mlflow_hook
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow_store import empty_store
from pydantic import BaseModel
from tracking_project import make_project

from scaling_ood.parameters.detectors import Method
from scaling_ood.tracking.hooks import TrackingHooks, used_parameters


class Model(BaseModel):
    epochs: int
    labels: tuple[str, ...] = ()


def test_used_parameters_are_those_of_the_pipeline_that_are_not_as_by_default() -> None:
    taken = ["params:s.model", "params:s.detectors.knn", "params:s.detectors.odd", "params:seed", "images"]
    pipeline = Pipeline([Node(lambda *inputs: 1, taken, "out", name="n")])
    catalog = DataCatalog(
        {
            "params:s.model": MemoryDataset(Model(epochs=20)),
            "params:s.detectors.knn": MemoryDataset(Method("knn", "knn", {"neighbours": 5}, network="classifier")),
            "params:s.detectors.odd": MemoryDataset(Method("odd", "msp", network="rotation")),
            "params:seed": MemoryDataset(0),
            "params:other": MemoryDataset(1),
            "parameters": MemoryDataset({"seed": 0}),
        }
    )
    assert used_parameters(pipeline, catalog) == {
        "s.model.epochs": 20,
        "s.detectors.knn": "classifier",
        "s.detectors.odd": "msp on rotation",
        "seed": 0,
    }


def test_the_hook_does_not_work_beside_the_plugins_own() -> None:
    manager = pluggy.PluginManager("kedro")
    manager.register(mlflow_hook)
    with pytest.raises(RuntimeError, match="DISABLE_HOOKS_FOR_PLUGINS"):
        TrackingHooks().after_context_created(SimpleNamespace(_hook_manager=manager))


Told = dict[str, dict[str, Any]]


def runs_of(folder: Path, *modes: str) -> tuple[int, Told]:
    """How the process of some runs ended, and of each that ended itself how long it took and what it told."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"DO_NOT_TRACK": "1", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.2"}
    environment |= {"MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
    command = [sys.executable, str(make_project(folder)), *modes]
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    ended = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    assert list(elsewhere.iterdir()) == []
    assert "Traceback" not in ended.stdout + ended.stderr or ended.returncode in (1, -signal.SIGINT)
    lines = ended.stdout.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    printed = [line for line in lines if line.startswith("MLflow did not")]
    return ended.returncode, {one["run"]: one for one in told} | {"printed": {str(n): t for n, t in enumerate(printed)}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first two processes were killed; the third finished runs, failed one, then got Ctrl-C."""
    folder = tmp_path_factory.mktemp("killed") / "project"
    folder.mkdir()
    empty_store(folder)
    assert runs_of(folder, "kill")[0] == -signal.SIGKILL
    assert runs_of(folder, "terminate")[0] == 128 + signal.SIGTERM
    assert runs_of(folder, "finish", "async", "thread", "fail", "interrupt")[0] in (1, -signal.SIGINT)
    return folder


@pytest.fixture(scope="module")
def runs(project: Path) -> list[Run]:
    return all_runs(project)


def all_runs(project: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    return list(client.search_runs([client.get_experiment_by_name("toy").experiment_id]))


@pytest.fixture(scope="module")
def parents(runs: list[Run]) -> dict[str, Run]:
    return {run.data.params["mode"]: run for run in runs if run.data.tags["kind"] == "kedro_run"}


@pytest.fixture(scope="module")
def children(runs: list[Run]) -> dict[str, Run]:
    return {run.data.params["mode"]: run for run in runs if run.data.tags["kind"] == "detector"}


@pytest.mark.slow
def test_every_run_ends_as_it_should(parents: dict[str, Run]) -> None:
    assert {mode: run.info.status for mode, run in parents.items()} == {
        "kill": "KILLED",
        "terminate": "KILLED",
        "finish": "FINISHED",
        "async": "FINISHED",
        "thread": "FINISHED",
        "fail": "FAILED",
        "interrupt": "KILLED",
    }


@pytest.mark.slow
def test_store_and_artifacts_lie_in_the_project(project: Path, parents: dict[str, Run]) -> None:
    assert all(run.info.artifact_uri.startswith((project / "mlartifacts").as_uri()) for run in parents.values())


@pytest.mark.slow
def test_the_parent_says_what_ran(parents: dict[str, Run]) -> None:
    tags = parents["finish"].data.tags
    assert tags["mlflow.runName"] == "base: all stages"
    assert {"scaling_ood_version", "env", "process.pid", "process.host", "process.started"} <= tags.keys()
    assert parents["finish"].data.params["setting.model.labels"] == '["fine", "coarse"]'


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["finish", "async", "thread"])
def test_the_child_hangs_under_its_parent_in_whatever_thread_it_is_written(
    mode: str, parents: dict[str, Run], children: dict[str, Run]
) -> None:
    assert children[mode].data.tags["mlflow.parentRunId"] == parents[mode].info.run_id
    assert children[mode].data.metrics == {"auroc.mean": 0.5, "loss": 1.0}


@pytest.mark.slow
def test_one_monitor_watches_the_system_for_the_parent(project: Path, parents: dict[str, Run]) -> None:
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    history = client.get_metric_history(parents["finish"].info.run_id, "system/cpu_utilization_percentage")
    steps = [point.step for point in history]
    assert steps
    assert len(steps) == len(set(steps))


@pytest.mark.slow
def test_a_store_that_fails_costs_seconds_and_what_it_did_not_take_is_sent_later(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    empty_store(folder)
    stores = ("absent", "broken", "silent", "locked")
    code, told = runs_of(folder, *(f"finish@{store}" for store in stores), "upload@absent", "upload", "upload")
    assert code == 0
    assert all(told[f"finish@{store}"]["error"] == "" for store in stores)
    assert all(one["seconds"] < 30 for name, one in told.items() if name != "printed")
    assert len(told["printed"]) == len(stores)
    for text in told["printed"].values():
        assert "All results are there. Send it when the store answers again: kedro run --pipelines upload" in text
    assert "MLflow did not take all of this run" in told["upload@absent"]["error"]
    assert told["upload"]["error"] == ""
    # Each run's results take the place of the last one's.
    [child] = [run for run in all_runs(folder) if run.data.tags["kind"] == "detector"]
    assert (child.data.params, child.data.metrics) == ({"mode": "finish"}, {"auroc.mean": 0.5, "loss": 1.0})
    assert "mlflow.parentRunId" in child.data.tags
    artifacts = {path.name for path in (folder / "mlartifacts").rglob("*") if path.is_file()}
    assert artifacts == {"roc.png", "results.csv"}
    place = folder / "data/08_reporting/toy/setting"
    assert [path.name for path in place.iterdir()] == ["runs.json"]
    assert json.loads((place / "runs.json").read_text())["msp"]["run_id"] == child.info.run_id
