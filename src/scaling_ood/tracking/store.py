"""Where runs are stored: in the project's folder, wherever Kedro was started."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

TRACKING_URI = "MLFLOW_TRACKING_URI"
DEFAULT_URI = "sqlite:///mlflow.db"


def located(config: dict[str, Any], project: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The content of `mlflow.yml`, with the store's location settled.

    `MLFLOW_TRACKING_URI`, if set, wins over the files. SQLite paths are taken relative to the project: MLflow takes
    them relative to the current directory, and kedro-mlflow completes URIs without a scheme only. Artifacts lie beside
    an SQLite store, in `mlartifacts`, unless the configuration places them; any other store has a place of its own.
    """
    config = deepcopy(config)
    server = config.setdefault("server", {})
    uri = environment.get(TRACKING_URI) or server.get("mlflow_tracking_uri") or DEFAULT_URI
    server["mlflow_tracking_uri"] = absolute(uri, project)
    database = _sqlite(server["mlflow_tracking_uri"])
    if database is not None:
        experiment = config.setdefault("tracking", {}).setdefault("experiment", {})
        creation = experiment.setdefault("create_experiment_kwargs", {})
        if creation.get("artifact_location") is None:
            creation["artifact_location"] = (Path(str(database.database)).parent / "mlartifacts").as_uri()
    return config


def absolute(uri: str, project: Path) -> str:
    """A relative SQLite path completed by the project's folder; every other URI as it is.

    >>> absolute("sqlite:///mlflow.db", Path("/project"))
    'sqlite:////project/mlflow.db'
    >>> absolute("http://127.0.0.1:5000", Path("/project"))
    'http://127.0.0.1:5000'
    """
    url = _sqlite(uri)
    if url is None:
        return uri
    path = project.absolute() / str(url.database)
    return url.set(database=path.as_posix()).render_as_string(hide_password=False)


def _sqlite(uri: str) -> URL | None:
    """The parsed URI of an SQLite file; nothing for other stores and for databases in memory."""
    try:
        url = make_url(uri)
    except ArgumentError:
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return url if is_file else None
