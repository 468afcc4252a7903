from pathlib import Path

import pytest

from scaling_ood.tracking.store import absolute, located

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
