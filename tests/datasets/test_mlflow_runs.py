import json
import math
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError
from matplotlib.figure import Figure
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow_store import empty_store

from scaling_ood.datasets.mlflow_runs import MlflowRunsDataset
from scaling_ood.records import RunRecord

TAGS = {"kind": "detector", "setting": "multi_class", "benchmark": "miniature", "detector": "msp", "model": "lite0"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        for exported in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
            patch.setenv(exported, "restored afterwards")
        mlflow.set_tracking_uri(empty_store(folder))
        MlflowClient().create_experiment("scaling_ood", artifact_location=(folder / "mlartifacts").as_uri())
        yield "scaling_ood"
        mlflow.set_tracking_uri(before)


@pytest.fixture(autouse=True)
def experiment(store: str) -> Iterator[str]:
    yield mlflow.set_experiment(store).experiment_id
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def dataset(tmp_path: Path) -> MlflowRunsDataset:
    return MlflowRunsDataset(filepath=str(tmp_path / "deep" / "run.json"))


def logged(dataset: MlflowRunsDataset) -> Run:
    return MlflowClient().get_run(dataset.load()["run_id"])


def test_a_record_becomes_a_child_of_the_active_run(dataset: MlflowRunsDataset) -> None:
    with mlflow.start_run() as parent:
        dataset.save(
            RunRecord("multi_class.msp", TAGS, {"model": {"epochs": 20}, "workers": None}, {"auroc.mean": 0.75})
        )
        assert mlflow.active_run().info.run_id == parent.info.run_id
    run = logged(dataset)
    assert run.info.run_name == "multi_class.msp"
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert TAGS.items() <= run.data.tags.items()
    assert {"process.pid", "process.host", "process.started"} <= run.data.tags.keys()
    assert run.data.params == {"model.epochs": "20", "workers": "null"}
    assert run.data.metrics == {"auroc.mean": 0.75}


def test_without_an_active_run_it_stands_alone(dataset: MlflowRunsDataset) -> None:
    dataset.save(RunRecord("alone", TAGS))
    assert "mlflow.parentRunId" not in logged(dataset).data.tags


def test_the_file_says_what_was_logged(dataset: MlflowRunsDataset) -> None:
    dataset.save(RunRecord("multi_class.msp", TAGS, {"epochs": 20}, {"auroc.mean": 0.75, "aupr.mean": math.nan}))
    content = dataset.load()
    assert content == {
        "run_id": content["run_id"],
        "experiment": "scaling_ood",
        "name": "multi_class.msp",
        "tags": TAGS,
        "parameters": {"epochs": 20},
        "metrics": {"auroc.mean": 0.75},
    }
    assert json.loads(dataset.preview()) == content


def test_curves_start_at_step_1_and_skip_what_is_not_finite(dataset: MlflowRunsDataset) -> None:
    dataset.save(RunRecord("training", {"kind": "training"}, curves={"train_loss": [2.0, math.nan, 1.5]}))
    history = MlflowClient().get_metric_history(dataset.load()["run_id"], "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (3, 1.5)]


def test_forbidden_characters_and_absent_values_do_not_fail_the_run(dataset: MlflowRunsDataset) -> None:
    metrics = {"auroc:a (near)": 0.5, "nan": math.nan, "none": None}
    dataset.save(RunRecord("x", TAGS, {"long": "y" * 9000, "odd:%": 1}, metrics))
    assert logged(dataset).data.metrics == {"auroc_a _near_": 0.5}
    assert len(logged(dataset).data.params["long"]) == 6000
    assert logged(dataset).data.params["odd__"] == "1"


def test_more_than_one_batch_of_everything(dataset: MlflowRunsDataset) -> None:
    parameters = {f"p{i}": i for i in range(230)}
    dataset.save(RunRecord("x", TAGS, parameters, curves={"loss": [float(i) for i in range(1, 1203)]}))
    assert len(logged(dataset).data.params) == 230
    assert logged(dataset).data.metrics == {"loss": 1202.0}


def test_figures_and_tables_are_artifacts(dataset: MlflowRunsDataset, tmp_path: Path) -> None:
    figures = {"roc": go.Figure(go.Scatter(y=[0, 1])), "scores": Figure()}
    tables = {"results": pd.DataFrame({"ood_set": ["textures"], "auroc": [0.5]})}
    dataset.save(RunRecord("x", TAGS, figures=figures, tables=tables))
    client, run_id = MlflowClient(), dataset.load()["run_id"]
    paths = {file.path for folder in ("figures", "tables") for file in client.list_artifacts(run_id, folder)}
    assert paths == {"figures/roc.html", "figures/scores.png", "tables/results.csv"}
    local = client.download_artifacts(run_id, "tables/results.csv", str(tmp_path))
    assert Path(local).read_text() == "ood_set,auroc\ntextures,0.5\n"


def test_the_newest_of_its_kind_is_latest(dataset: MlflowRunsDataset, tmp_path: Path) -> None:
    other = MlflowRunsDataset(filepath=str(tmp_path / "other.json"))
    dataset.save(RunRecord("x", {**TAGS, "benchmark": "latest"}))
    first = logged(dataset)
    other.save(RunRecord("x", {**TAGS, "benchmark": "latest", "detector": "max_logit"}))
    dataset.save(RunRecord("x", {**TAGS, "benchmark": "latest"}))
    assert logged(dataset).data.tags["latest"] == "true"
    assert MlflowClient().get_run(first.info.run_id).data.tags["latest"] == "false"
    assert logged(other).data.tags["latest"] == "true"


def test_a_training_is_written_once(dataset: MlflowRunsDataset) -> None:
    record = RunRecord("training", {"kind": "training", "model_key": "abc"})
    dataset.save(record)
    first = dataset.load()
    dataset.save(RunRecord("training", {"kind": "training", "model_key": "abc"}, metrics={"seconds": 0.0}))
    assert dataset.load() == first
    dataset.save(RunRecord("training", {"kind": "training", "model_key": "def"}))
    assert dataset.load()["run_id"] != first["run_id"]


def test_a_training_whose_run_is_gone_is_written_again(dataset: MlflowRunsDataset) -> None:
    record = RunRecord("training", {"kind": "training", "model_key": "abc"})
    dataset.save(record)
    deleted = dataset.load()["run_id"]
    MlflowClient().delete_run(deleted)
    dataset.save(record)
    written = dataset.load()["run_id"]
    assert written != deleted
    path = Path(dataset._describe()["filepath"])
    path.write_text(path.read_text().replace(written, "0" * 32))
    dataset.save(record)
    assert dataset.load()["run_id"] not in {deleted, written, "0" * 32}


def test_a_detector_is_written_every_time(dataset: MlflowRunsDataset) -> None:
    dataset.save(RunRecord("x", {**TAGS, "model_key": "abc"}))
    first = dataset.load()["run_id"]
    dataset.save(RunRecord("x", {**TAGS, "model_key": "abc"}))
    assert dataset.load()["run_id"] != first


def test_a_mapping_makes_one_run_each(dataset: MlflowRunsDataset) -> None:
    records = {
        "msp": RunRecord("multi_class.msp", TAGS),
        "model": RunRecord("multi_class.model", {"kind": "training", "model_key": "abc"}),
    }
    dataset.save(records)
    first = dataset.load()
    dataset.save(records)
    second = dataset.load()
    assert second.keys() == records.keys()
    assert second["model"] == first["model"]
    assert second["msp"]["run_id"] != first["msp"]["run_id"]


def test_a_refused_record_fails_and_is_never_latest(dataset: MlflowRunsDataset, experiment: str) -> None:
    with pytest.raises(DatasetError):
        dataset.save(RunRecord("refused", TAGS, figures={"roc": "no figure"}))
    assert not dataset.exists()
    run = MlflowClient().search_runs([experiment], "attributes.run_name = 'refused'")[0]
    assert run.info.status == "FAILED"
    assert "latest" not in run.data.tags


def test_nothing_is_there_before_the_first_save(dataset: MlflowRunsDataset) -> None:
    assert not dataset.exists()
    assert dataset.preview() == "{}"
    with pytest.raises(DatasetError):
        dataset.load()
