import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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

from scaling_ood.tracking import TrackingHooks
from scaling_ood.tracking.hooks import used_parameters


class Model(BaseModel):
    epochs: int


def test_used_parameters_are_flat_and_only_those_of_the_pipeline() -> None:
    pipeline = Pipeline([Node(lambda *inputs: 1, ["params:s.model", "params:seed", "images"], "out", name="n")])
    catalog = DataCatalog(
        {
            "params:s.model": MemoryDataset(Model(epochs=20)),
            "params:seed": MemoryDataset(0),
            "params:other": MemoryDataset(1),
            "parameters": MemoryDataset({"seed": 0}),
        }
    )
    assert used_parameters(pipeline, catalog) == {"s.model.epochs": 20, "seed": 0}


def test_the_hook_does_not_work_beside_the_plugins_own() -> None:
    manager = pluggy.PluginManager("kedro")
    manager.register(mlflow_hook)
    with pytest.raises(RuntimeError, match="DISABLE_HOOKS_FOR_PLUGINS"):
        TrackingHooks().after_context_created(SimpleNamespace(_hook_manager=manager))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first process was killed; the second finished a run, failed one, and got Ctrl-C in the last."""
    folder = tmp_path_factory.mktemp("project")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    empty_store(folder)
    script = make_project(folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"DO_NOT_TRACK": "1", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.2"}
    for modes, code in ((["kill"], -signal.SIGKILL), (["finish", "fail", "interrupt"], 1)):
        command = [sys.executable, str(script), *modes]
        ended = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode in (code, -signal.SIGINT), ended.stderr
    assert list(elsewhere.iterdir()) == []
    return folder


@pytest.fixture(scope="module")
def client(project: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


@pytest.fixture(scope="module")
def parents(client: MlflowClient) -> dict[str, Run]:
    runs = client.search_runs([client.get_experiment_by_name("toy").experiment_id], "tags.kind = 'kedro_run'")
    return {run.data.params["mode"]: run for run in runs}


@pytest.mark.slow
def test_every_run_ends_as_it_should(parents: dict[str, Run]) -> None:
    status = {mode: run.info.status for mode, run in parents.items()}
    assert status == {"kill": "KILLED", "finish": "FINISHED", "fail": "FAILED", "interrupt": "KILLED"}


@pytest.mark.slow
def test_store_and_artifacts_lie_in_the_project(project: Path, parents: dict[str, Run]) -> None:
    assert all(run.info.artifact_uri.startswith((project / "mlartifacts").as_uri()) for run in parents.values())


@pytest.mark.slow
def test_a_typed_parameter_is_logged_field_by_field(parents: dict[str, Run]) -> None:
    assert parents["finish"].data.params == {
        "mode": "finish",
        "setting.model.epochs": "20",
        "setting.model.labels": '["fine", "coarse"]',
        "setting.model.input_px": "null",
    }


@pytest.mark.slow
def test_the_parent_says_what_ran(parents: dict[str, Run]) -> None:
    tags = parents["finish"].data.tags
    assert tags["mlflow.runName"] == "base: all stages"
    assert {"scaling_ood_version", "env", "process.pid", "process.host", "process.started"} <= tags.keys()


@pytest.mark.slow
def test_the_child_hangs_under_its_parent(client: MlflowClient, parents: dict[str, Run]) -> None:
    experiment = parents["finish"].info.experiment_id
    (child,) = client.search_runs([experiment], "tags.kind = 'detector'")
    assert child.data.tags["mlflow.parentRunId"] == parents["finish"].info.run_id
    assert child.data.metrics == {"auroc.mean": 0.5}


@pytest.mark.slow
def test_one_monitor_watches_the_system_for_the_parent(client: MlflowClient, parents: dict[str, Run]) -> None:
    history = client.get_metric_history(parents["finish"].info.run_id, "system/cpu_utilization_percentage")
    steps = [point.step for point in history]
    assert steps
    assert len(steps) == len(set(steps))
