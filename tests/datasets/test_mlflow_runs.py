import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from getpass import getuser
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError
from matplotlib.figure import Figure
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow_store import empty_store
from object_store import Bucket

from scaling_ood.datasets import MlflowRunsDataset, UnsentRunsDataset
from scaling_ood.products.kept_files import content_sum
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.records import RunRecord, UsedImages
from scaling_ood.tracking.underway import underway
from scaling_ood.tracking.views import saved_views

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
    underway.begin()
    yield mlflow.set_experiment(store).experiment_id
    underway.begin()
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def dataset(tmp_path: Path) -> MlflowRunsDataset:
    return MlflowRunsDataset(filepath=str(tmp_path / "08_reporting/toy/multi_class/runs.json"))


def record(detector: str = "msp", benchmark: str = "miniature", **shown: Any) -> dict[str, RunRecord]:
    tags = {**TAGS, "detector": detector, "benchmark": benchmark, "training_run": "", "network": "classifier"}
    return {detector: RunRecord(f"multi_class.{detector}", tags, **shown)}


def training(key: str = "abc", **shown: Any) -> dict[str, RunRecord]:
    tags = {"kind": "training", "setting": "multi_class", "benchmark": "toy", "network": "classifier", "model_key": key}
    return {"classifier": RunRecord("multi_class.classifier.training", tags, **shown)}


def logged(dataset: MlflowRunsDataset, name: str = "msp") -> Run:
    return MlflowClient().get_run(dataset.load()[name]["run_id"])


def is_latest(*runs: Run) -> list[str]:
    return [MlflowClient().get_run(run.info.run_id).data.tags["latest"] for run in runs]


def out_of_order(monkeypatch: pytest.MonkeyPatch, at: str = "log_artifacts") -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(MlflowClient, at, fail)


def test_images_are_inputs_of_the_run_with_their_digests(dataset: MlflowRunsDataset) -> None:
    known = UsedImages("birds", "test", "0123456789abcdef0123", "photos/birds", 40, 3)
    odd = UsedImages("insects", "insects", "ffffffffffffffffffff", "photos/insects", 12, 0)
    dataset.save(record(inputs=[known, odd]))
    assert "inputs" not in dataset.load()["msp"]
    found = logged(dataset).inputs.dataset_inputs
    told = {each.tags[0].value: (each.dataset.name, each.dataset.digest) for each in found}
    assert told == {"test": ("birds", "0123456789abcdef0123"), "insects": ("insects", "ffffffffffffffffffff")}
    assert json.loads(found[0].dataset.profile)["images"] in (40, 12)
    assert {each.tags[0].key for each in found} == {"mlflow.data.context"}


def weights_in(folder: Path, content: bytes = b"weights") -> tuple[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(content)
    (folder / "record.json").write_text("{}", encoding="utf-8")
    return str(folder / "model.safetensors"), content_sum(folder / "model.safetensors")


def test_trained_networks_are_logged_models_and_inputs_of_the_detectors(
    dataset: MlflowRunsDataset, tmp_path: Path, experiment: str
) -> None:
    trainings = MlflowRunsDataset(filepath=str(tmp_path / "06_models/toy/multi_class/trainings.json"))
    trainings.save(training("with weights", weights=weights_in(tmp_path / "model")))
    run, client = logged(trainings, "classifier"), MlflowClient()
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert model.name == "toy-multi_class-classifier"
    assert model.source_run_id == run.info.run_id
    assert model.tags["model_key"] == "with weights"
    assert model.status.value == "READY"
    kept = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=str(tmp_path / "back")))
    assert {each.name for each in kept.iterdir()} >= {"model.safetensors", "record.json"}
    assert (kept / "model.safetensors").read_bytes() == b"weights"

    detector = record()
    detector["msp"].tags["training_run"] = run.info.run_id  # type: ignore[index]
    dataset.save(detector)
    assert [each.model_id for each in logged(dataset).inputs.model_inputs] == [model.model_id]


def test_weights_that_became_others_are_not_logged(
    tmp_path: Path, experiment: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainings = MlflowRunsDataset(filepath=str(tmp_path / "06_models/toy/multi_class/trainings.json"))
    place, old = weights_in(tmp_path / "model")
    weights_in(tmp_path / "model", b"other weights")
    trainings.save(training("moved on", weights=(place, old)))
    assert not logged(trainings, "classifier").outputs.model_outputs
    assert "holds other weights now" in caplog.text


def test_detectors_get_saved_views_and_trainings_none(dataset: MlflowRunsDataset, experiment: str) -> None:
    dataset.save(record(benchmark="viewed"))
    views = saved_views(MlflowClient().get_experiment(experiment))
    assert {"detectors", "viewed.multi_class"} <= views.keys()
    dataset.save(training())
    assert saved_views(MlflowClient().get_experiment(experiment)) == views


def test_a_record_becomes_a_child_of_the_run_underway(dataset: MlflowRunsDataset) -> None:
    with mlflow.start_run() as parent:
        underway.parent = parent
        with ThreadPoolExecutor() as pool:
            shown = {"parameters": {"model": {"epochs": 20}, "workers": None}, "metrics": {"auroc.mean": 0.75}}
            pool.submit(dataset.save, record(**shown)).result()
        assert mlflow.active_run().info.run_id == parent.info.run_id
    run = logged(dataset)
    assert run.info.run_name == "multi_class.msp"
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert TAGS.items() <= run.data.tags.items()
    for name in ("mlflow.user", "mlflow.source.name", "mlflow.source.type"):
        assert run.data.tags[name] == parent.data.tags[name]
    assert {"process.pid", "process.host", "process.started"} <= run.data.tags.keys()
    assert run.data.params == {"model.epochs": "20", "workers": "null"}
    assert run.data.metrics == {"auroc.mean": 0.75}


def test_without_a_run_underway_it_stands_alone(dataset: MlflowRunsDataset) -> None:
    dataset.save(record())
    tags = logged(dataset).data.tags
    assert "mlflow.parentRunId" not in tags
    assert tags["mlflow.user"] == getuser()


def test_the_file_says_what_was_logged(dataset: MlflowRunsDataset, tmp_path: Path) -> None:
    dataset.save(record(parameters={"epochs": 20}, metrics={"auroc.mean": 0.75, "aupr.mean": math.nan}))
    content = dataset.load()
    assert content == {
        "msp": {
            "run_id": content["msp"]["run_id"],
            "name": "multi_class.msp",
            "tags": {**TAGS, "training_run": "", "network": "classifier"},
            "parameters": {"epochs": 20},
            "metrics": {"auroc.mean": 0.75},
        }
    }
    assert json.loads(dataset.preview()) == content
    assert [path.name for path in (tmp_path / "08_reporting/toy/multi_class").iterdir()] == ["runs.json"]


def test_curves_start_at_step_1_and_skip_what_is_not_finite(dataset: MlflowRunsDataset) -> None:
    dataset.save(record(curves={"train_loss": [2.0, math.nan, 1.5]}))
    history = MlflowClient().get_metric_history(dataset.load()["msp"]["run_id"], "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (3, 1.5)]


def test_forbidden_characters_and_absent_values_do_not_fail_the_run(dataset: MlflowRunsDataset) -> None:
    metrics = {"auroc:a (near)": 0.5, "nan": math.nan, "none": None}
    dataset.save(record(parameters={"long": "y" * 9000, "odd:%": 1}, metrics=metrics))
    assert logged(dataset).data.metrics == {"auroc_a _near_": 0.5}
    assert len(logged(dataset).data.params["long"]) == 6000
    assert logged(dataset).data.params["odd__"] == "1"


def test_more_than_one_batch_of_everything(dataset: MlflowRunsDataset) -> None:
    parameters = {f"p{i}": i for i in range(230)}
    dataset.save(record(parameters=parameters, curves={"loss": [float(i) for i in range(1, 1203)]}))
    assert len(logged(dataset).data.params) == 230
    assert logged(dataset).data.metrics == {"loss": 1202.0}


def test_figures_and_tables_are_artifacts(dataset: MlflowRunsDataset, tmp_path: Path) -> None:
    figures = {"roc": go.Figure(go.Scatter(y=[0, 1])), "scores": Figure()}
    tables = {"results": pd.DataFrame({"ood_set": ["textures"], "auroc": [0.5]})}
    dataset.save(record(figures=figures, tables=tables))
    client, run_id = MlflowClient(), dataset.load()["msp"]["run_id"]
    paths = {file.path for folder in ("figures", "tables") for file in client.list_artifacts(run_id, folder)}
    assert paths == {"figures/roc.html", "figures/scores.png", "tables/results.csv"}
    local = client.download_artifacts(run_id, "tables/results.csv", str(tmp_path))
    assert Path(local).read_text() == "ood_set,auroc\ntextures,0.5\n"


def test_the_newest_of_its_kind_is_latest(dataset: MlflowRunsDataset, tmp_path: Path) -> None:
    """Also where the model is another one now, and a detector that is off is the newest of nothing."""
    other = MlflowRunsDataset(filepath=str(tmp_path / "other.json"))
    other.save(record(benchmark="other"))
    dataset.save(record(benchmark="latest") | record("knn", benchmark="latest"))
    first, switched_off = logged(dataset), logged(dataset, "knn")
    changed = record(benchmark="latest")["msp"]
    dataset.save({"msp": replace(changed, tags={**changed.tags, "model": "resnet50"})})
    assert is_latest(first, switched_off, logged(dataset), logged(other)) == ["false", "false", "true", "true"]


def test_a_training_is_written_once(dataset: MlflowRunsDataset) -> None:
    dataset.save(training())
    first = dataset.load()
    dataset.save(training(metrics={"seconds": 0.0}))
    assert dataset.load() == first
    assert is_latest(logged(dataset, "classifier")) == ["true"]
    dataset.save(training("def"))
    assert dataset.load()["classifier"]["run_id"] != first["classifier"]["run_id"]


@pytest.mark.parametrize("gone", ["deleted", "of another store"])
def test_a_training_whose_run_is_gone_is_written_again(dataset: MlflowRunsDataset, gone: str) -> None:
    dataset.save(training())
    before = dataset.load()["classifier"]["run_id"]
    if gone == "deleted":
        MlflowClient().delete_run(before)
    else:
        path = Path(dataset._describe()["filepath"])
        path.write_text(path.read_text().replace(before, "0" * 32))
    dataset.save(training())
    assert dataset.load()["classifier"]["run_id"] not in {before, "0" * 32}


def test_a_detector_is_written_every_time(dataset: MlflowRunsDataset) -> None:
    dataset.save(record())
    first = dataset.load()["msp"]["run_id"]
    dataset.save(record())
    assert dataset.load()["msp"]["run_id"] != first


def test_what_the_store_does_not_take_costs_nothing_and_is_sent_later(
    dataset: MlflowRunsDataset, tmp_path: Path, experiment: str
) -> None:
    models = MlflowRunsDataset(filepath=str(tmp_path / "06_models/toy/multi_class/trainings.json"))
    table = {"results": pd.DataFrame({"auroc": [0.5]})}
    dataset.save(record(benchmark="toy"))
    before = logged(dataset)
    with pytest.MonkeyPatch.context() as patch:
        out_of_order(patch)
        models.save(training(tables=table))
        dataset.save(record(benchmark="toy", metrics={"auroc.mean": 0.75}, tables=table))
    assert underway.problem == "ConnectionError: no answer"
    assert underway.unsent == ["multi_class.classifier.training", "multi_class.msp"]
    assert dataset.load()["msp"] | {"tags": {}} == {
        "run_id": "",
        "name": "multi_class.msp",
        "tags": {},
        "parameters": {},
        "metrics": {"auroc.mean": 0.75},
    }
    kept = tmp_path / "08_reporting/toy/multi_class/runs.unsent/msp"
    assert (kept / "tables/results.csv").read_text() == "auroc\n0.5\n"
    assert is_latest(before) == ["true"]

    # What was begun is FAILED, and nothing more was begun.
    begun = MlflowClient().search_runs([experiment], "tags.benchmark = 'toy' and attributes.status = 'FAILED'")
    assert [run.info.run_name for run in begun] == ["multi_class.classifier.training"]
    assert "latest" not in begun[0].data.tags

    underway.begin()
    unsent = UnsentRunsDataset(filepath=str(tmp_path), benchmark="toy")
    unsent.save(unsent.load())
    assert unsent.load() == []
    assert not kept.parent.exists()
    run = logged(dataset)
    assert run.data.metrics == {"auroc.mean": 0.75}
    assert run.data.tags["training_run"] == models.load()["classifier"]["run_id"]
    assert is_latest(before, run) == ["false", "true"]


def test_runs_of_other_benchmarks_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_order(monkeypatch, "log_batch")
    place = tmp_path / "08_reporting/toy/multi_class/runs.json"
    MlflowRunsDataset(filepath=str(place)).save(record(parameters={"a": 1}))
    assert place.with_suffix(".unsent").is_dir()
    assert UnsentRunsDataset(filepath=str(tmp_path), benchmark="other").load() == []


def test_a_slow_store_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaling_ood.tracking.underway.PATIENCE", -1)
    assert underway.attempt(lambda: "done") == "done"
    assert underway.problem == "it took 0 s for one run"
    assert underway.attempt(lambda: "done") is None


def test_nothing_is_there_before_the_first_save(dataset: MlflowRunsDataset) -> None:
    assert not dataset.exists()
    assert dataset.preview() == "{}"
    with pytest.raises(DatasetError):
        dataset.load()


def test_runs_that_would_show_the_same_are_sent_again_and_nothing_is_drawn(dataset: MlflowRunsDataset) -> None:
    drawn: list[str] = []

    def draw(parts: Sequence[Part]) -> Iterator[tuple[str, dict[str, RunRecord]]]:
        drawn.append("figures")
        table = pd.DataFrame({"auroc": [0.75]})
        figures = {"intervals": go.Figure(go.Bar(y=[1, 2]))}
        yield parts[0].name, record(metrics={"auroc.mean": 0.75}, figures=figures, tables={"results": table})

    def plan(**origin: Any) -> Plan[dict[str, RunRecord]]:
        return Plan([Part("runs", 1)], draw, origin=Origin("record_runs", **origin))

    runs = []
    for _ in range(2):
        dataset.save(plan())
        runs.append(logged(dataset))
    assert drawn == ["figures"]
    assert runs[0].info.run_id != runs[1].info.run_id
    assert runs[0].data.metrics == runs[1].data.metrics == {"auroc.mean": 0.75}
    assert is_latest(*runs) == ["false", "true"]
    for run in runs:
        assert {each.path for each in MlflowClient().list_artifacts(run.info.run_id)} == {"figures", "tables"}
    dataset.save(plan(made_from={"results": "other"}))
    assert drawn == ["figures"] * 2


def test_in_an_object_store_they_are_too(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(parts: Sequence[Part]) -> Iterator[tuple[str, dict[str, RunRecord]]]:
        drawn.append("figures")
        yield parts[0].name, record(metrics={"auroc.mean": 0.75}, tables={"results": pd.DataFrame({"auroc": [0.75]})})

    def runs() -> MlflowRunsDataset:
        place = f"{bucket.address}/08_reporting/toy/multi_class/runs.json"
        return MlflowRunsDataset(filepath=place, credentials=bucket.credentials)

    kept = {"msp/run.json", "msp/tables/results.csv"}
    for folder in ("runs.sent", "runs.unsent", "runs.sent"):
        with monkeypatch.context() as broken:
            if folder == "runs.unsent":
                out_of_order(broken)
            runs().save(Plan([Part("runs", 1)], draw, origin=Origin("record_runs")))
        there = {name for name in bucket.names("08_reporting/toy/multi_class") if not name.startswith(".records")}
        assert there == {"runs.json", *(f"{folder}/{name}" for name in kept)}
        underway.begin()
    run = logged(runs())
    assert drawn == ["figures"]
    assert run.data.metrics == {"auroc.mean": 0.75}
    assert {each.path for each in MlflowClient().list_artifacts(run.info.run_id)} == {"tables"}


def test_what_waits_in_an_object_store_is_found_and_sent(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = MlflowRunsDataset(filepath=f"{bucket.address}/08/toy/s/runs.json", credentials=bucket.credentials)
    with monkeypatch.context() as broken:
        out_of_order(broken)
        runs.save(record(tables={"results": pd.DataFrame({"auroc": [0.75]})}))
    underway.begin()
    waiting = UnsentRunsDataset(filepath=bucket.address, benchmark="toy", credentials=bucket.credentials)
    assert waiting.load() == [f"{bucket.address}/08/toy/s/runs.json"]
    waiting.save(waiting.load())
    assert logged(runs).info.status == "FINISHED"
    assert bucket.names() == {"08/toy/s/runs.json"}


def test_what_was_kept_and_is_damaged_is_drawn_again(dataset: MlflowRunsDataset, tmp_path: Path) -> None:
    drawn: list[str] = []

    def draw(parts: Sequence[Part]) -> Iterator[tuple[str, dict[str, RunRecord]]]:
        drawn.append("figures")
        yield parts[0].name, record(metrics={"auroc.mean": 0.75})

    for _ in range(2):
        dataset.save(Plan([Part("runs", 1)], draw, origin=Origin("record_runs")))
        (kept,) = tmp_path.rglob("runs.sent/msp/run.json")
        kept.write_text("{}")
    assert drawn == ["figures"] * 2
    assert logged(dataset).data.metrics == {"auroc.mean": 0.75}
