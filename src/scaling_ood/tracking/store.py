"""Where runs are stored: in the project's folder, wherever Kedro was started."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

TRACKING_URI = "MLFLOW_TRACKING_URI"
DEFAULT_URI = "sqlite:///mlflow.db"

_logger = logging.getLogger(__name__)


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
            creation["artifact_location"] = _artifacts(Path(str(database.database)))
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


def create_store(uri: str) -> None:
    """Make sure that an SQLite store has all its tables; other stores are left alone.

    MLflow makes them one after the other in the file itself: a process that is killed meanwhile, or a second one that
    does the same, leaves a file that no later run can open. So they are made in a file beside, which then gets the
    name, if no other process was first. A file in which MLflow never came to its first experiment is set apart.

    Args:
        uri: Absolute; see `absolute`.

    Raises:
        sqlite3.Error: It cannot be written: it is locked, read-only, or no database.
    """
    url = _sqlite(uri)
    if url is None:
        return
    place = Path(str(url.database))
    if place.is_file():
        if _is_ready(place):
            return
        aside = place.with_name(f"{place.name}.unfinished")
        os.replace(place, aside)
        _logger.warning("%s was left unfinished by a run that was killed; it is now %s", place, aside.name)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as folder:
        beside = Path(folder) / place.name
        made = SqlAlchemyStore(url.set(database=beside.as_posix()).render_as_string(False), _artifacts(place))  # type: ignore[no-untyped-call]
        made.engine.dispose()
        with suppress(FileExistsError):
            os.link(beside, place)


def _is_ready(database: Path) -> bool:
    """Whether MLflow has finished its tables there; they end with an experiment called Default.

    Asked with the intention to write: MLflow itself waits for a lock in fifteen attempts, of which the last take hours.
    """
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=5)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone()
        return bool(tables and connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone())


def _artifacts(database: Path) -> str:
    """Where the artifacts of an SQLite store lie."""
    return (database.parent / "mlartifacts").as_uri()


def _sqlite(uri: str) -> URL | None:
    """The parsed URI of an SQLite file; nothing for other stores and for databases in memory."""
    try:
        url = make_url(uri)
    except ArgumentError:
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return url if is_file else None
