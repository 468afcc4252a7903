import logging
import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from scaling_ood.tracking.store import absolute, create_store, located

PROJECT = Path("/project")


def location(config: dict, environment: dict[str, str] | None = None) -> tuple[str, str | None]:
    settled = located(config, PROJECT, environment or {})
    creation = settled.get("tracking", {}).get("experiment", {}).get("create_experiment_kwargs", {})
    return settled["server"]["mlflow_tracking_uri"], creation.get("artifact_location")


@pytest.mark.parametrize("config", [{}, {"server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"}}])
def test_the_store_lies_in_the_project(config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert location(config) == ("sqlite:////project/mlflow.db", "file:///project/mlartifacts")


def test_artifacts_lie_beside_a_store_elsewhere() -> None:
    config = {"server": {"mlflow_tracking_uri": "sqlite:////shared/runs/mlflow.db"}}
    assert location(config) == ("sqlite:////shared/runs/mlflow.db", "file:///shared/runs/mlartifacts")


def test_a_configured_place_for_artifacts_stays() -> None:
    config = {"tracking": {"experiment": {"create_experiment_kwargs": {"artifact_location": "s3://bucket"}}}}
    assert location(config)[1] == "s3://bucket"


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "databricks", "postgresql://u:p@host/db", "mlruns"])
def test_other_stores_stay_as_they_are(uri: str) -> None:
    assert location({"server": {"mlflow_tracking_uri": uri}}) == (uri, None)


def test_the_environment_variable_wins() -> None:
    config = {"server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"}}
    assert location(config, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"})[0] == "http://127.0.0.1:5000"


def test_the_configuration_itself_is_not_changed() -> None:
    config: dict = {"server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"}}
    located(config, PROJECT, {})
    assert config == {"server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"}}


def test_options_of_the_driver_are_kept() -> None:
    assert absolute("sqlite:///a.db?timeout=30", PROJECT) == "sqlite:////project/a.db?timeout=30"
    assert absolute("sqlite:///:memory:", PROJECT) == "sqlite:///:memory:"


def names(uri: str) -> list[str]:
    return [experiment.name for experiment in MlflowClient(uri).search_experiments()]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_store_is_complete_at_once_and_stays_as_it_is(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/deep/mlflow.db"
    create_store(uri)
    assert names(uri) == ["Default"]
    MlflowClient(uri).create_experiment("scaling_ood")
    create_store(uri)
    assert sorted(names(uri)) == ["Default", "scaling_ood"]
    assert files(tmp_path / "deep") == ["mlflow.db"]


def half_made(place: Path) -> None:
    """What MLflow 3.17 leaves if it is killed while it changes the table of metrics."""
    with closing(sqlite3.connect(place)) as connection:
        for table in ("experiments", "runs", "metrics", "_alembic_tmp_metrics"):
            connection.execute(f"CREATE TABLE {table} (run_uuid VARCHAR)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
        connection.execute("INSERT INTO alembic_version VALUES ('90e64c465722')")
        connection.commit()


@pytest.mark.parametrize("leave", [half_made, Path.touch])
def test_a_store_that_was_never_finished_is_set_apart_and_made_anew(
    leave, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "mlflow.db"
    leave(place)
    with caplog.at_level(logging.WARNING):
        create_store(f"sqlite:///{place}")
    assert names(f"sqlite:///{place}") == ["Default"]
    assert files(tmp_path) == ["mlflow.db", "mlflow.db.unfinished"]
    assert "left unfinished by a run that was killed" in caplog.text


def test_two_first_runs_at_once_share_one_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        list(pool.map(create_store, [uri] * 2))
    assert names(uri) == ["Default"]
    assert files(tmp_path) == ["mlflow.db"]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "sqlite:///:memory:", "mlruns"])
def test_no_other_store_is_touched(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_store(uri)
    assert files(tmp_path) == []
