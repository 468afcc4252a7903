"""Tracked runs: what a node hands over as records becomes MLflow runs, and a small file that says what was logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import mlflow
from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient

from scaling_ood.datasets.places import local_path
from scaling_ood.products.kept_files import read_record, write_atomically
from scaling_ood.products.records import RunRecord
from scaling_ood.tracking.entries import finite_metrics, flatten_parameters, log_metrics, log_parameters
from scaling_ood.tracking.processes import process_tags, search

COMPARED = ("kind", "setting", "benchmark", "detector", "network", "model")
"""Tags that make two runs repetitions of one another: the newest carries `latest=true`, the older ones `false`."""

_logger = logging.getLogger(__name__)


class MlflowRunsDataset(AbstractDataset[RunRecord | Mapping[str, RunRecord], dict[str, Any]]):
    """MLflow runs under the active one, and a JSON file about them for later stages and for people without MLflow.

    One record makes one run; a mapping makes one for each of its records. Loading gives the content of the file: per
    run `run_id`, `experiment`, `name`, `tags`, `parameters` and `metrics`; for a mapping, by its names.

    A record with the tag `kind=training` is written once for each value of its tag `model_key`: a model that was not
    trained again keeps its run, as long as that run is in the store.

    YAML:
        ```yaml
        multi_class.{detector}.run:
          type: scaling_ood.datasets.MlflowRunsDataset
          filepath: data/08_reporting/{detector}/run.json
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Remember where it is.

        Args:
            filepath: The file about the runs.
            metadata: For Kedro-Viz; not used here.
        """
        self._path = local_path(filepath)
        self.metadata = metadata

    def save(self, data: RunRecord | Mapping[str, RunRecord]) -> None:
        """Write the runs, then the file.

        Raises:
            kedro.io.DatasetError: The store refuses a run. What was begun is FAILED and never `latest`.
        """
        before = read_record(self._path)
        if isinstance(data, RunRecord):
            content = _tracked(data, before)
        else:
            content = {name: _tracked(record, before.get(name, {})) for name, record in data.items()}
        write_atomically(self._path, json.dumps(content, indent=1))

    def load(self) -> dict[str, Any]:
        """What was logged."""
        content = read_record(self._path)
        if not content:
            raise FileNotFoundError(f"{self._path} is not there")
        return content

    def preview(self) -> JSONPreview:
        """For Kedro-Viz: what was logged."""
        return JSONPreview(json.dumps(read_record(self._path)))

    def _exists(self) -> bool:
        return bool(read_record(self._path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def _tracked(record: RunRecord, before: Mapping[str, Any]) -> dict[str, Any]:
    """The file's entry for a record: that of a new run, or of the run before if nothing was trained since."""
    client = MlflowClient()
    if _is_same_training(record, before) and _is_in_store(client, before["run_id"]):
        _logger.info("%s: not trained again, its MLflow run is %s", record.name, before["run_id"])
        return dict(before)
    run = _write(client, record)
    _mark_latest(client, run)
    return {
        "run_id": run.info.run_id,
        "experiment": client.get_experiment(run.info.experiment_id).name,
        "name": record.name,
        "tags": dict(record.tags),
        "parameters": flatten_parameters(record.parameters) if record.parameters else {},
        "metrics": finite_metrics(record.metrics),
    }


def _is_same_training(record: RunRecord, before: Mapping[str, Any]) -> bool:
    key = record.tags.get("model_key")
    return record.tags.get("kind") == "training" and key is not None and before.get("tags", {}).get("model_key") == key


def _is_in_store(client: MlflowClient, run_id: str) -> bool:
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == LifecycleStage.ACTIVE)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return False
        raise


def _write(client: MlflowClient, record: RunRecord) -> Run:
    """Write one run, a child of the active one if there is one."""
    parent = mlflow.active_run()
    with mlflow.start_run(
        run_name=record.name,
        nested=parent is not None,
        experiment_id=parent.info.experiment_id if parent else None,
        tags={**record.tags, **process_tags()},
        # The work was done in the parent, whose system metrics tell.
        log_system_metrics=False,
    ) as run:
        run_id = run.info.run_id
        if record.parameters:
            log_parameters(client, run_id, flatten_parameters(record.parameters))
        log_metrics(client, run_id, record.metrics, record.curves)
        for stem, figure in record.figures.items():
            extension = "html" if hasattr(figure, "write_html") else "png"
            client.log_figure(run_id, figure, f"figures/{stem}.{extension}")
        for stem, table in record.tables.items():
            client.log_text(run_id, table.to_csv(index=False), f"tables/{stem}.csv")
    return client.get_run(run_id)


def _mark_latest(client: MlflowClient, run: Run) -> None:
    """Tag the newest of the runs that are compared with one another, and take the tag from the older ones."""
    identity = {name: run.data.tags.get(name) for name in COMPARED}
    condition = " and ".join(
        f"tags.{name} = '{value}'" for name, value in identity.items() if value is not None and "'" not in value
    )
    older = [
        other.info.run_id
        for other in search(
            client, run.info.experiment_id, " and ".join(filter(None, ["tags.latest = 'true'", condition]))
        )
        if {name: other.data.tags.get(name) for name in COMPARED} == identity
    ]
    client.set_tag(run.info.run_id, "latest", "true")
    for run_id in older:
        client.set_tag(run_id, "latest", "false")
