"""Tracked runs: what a node hands over as records becomes MLflow runs, and a small file that says what was logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview
from mlflow.entities import LifecycleStage, LoggedModelInput, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.tracking.context.registry import resolve_tags
from mlflow.tracking.fluent import _get_experiment_id
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from scaling_ood import storage
from scaling_ood.datasets.vouching import Voucher
from scaling_ood.products.kept_files import keep, move, read_record, remove, write_atomically
from scaling_ood.products.plans import Plan
from scaling_ood.products.records import RunRecord
from scaling_ood.tracking.entries import finite_metrics, flatten_parameters, log_inputs, log_values
from scaling_ood.tracking.networks import log_trained, networks_of
from scaling_ood.tracking.processes import process_tags, search
from scaling_ood.tracking.underway import underway
from scaling_ood.tracking.views import save_views

UNSENT = ".unsent"
"""Ending of the folder beside the file, with what MLflow has not taken: of each run `run.json`, figures and tables."""

SENT = ".sent"
"""Ending of the folder with what it has taken: a run that would show the same is sent from there, and nothing drawn."""

RUN = "run.json"
"""In the folder of a run, all that is not a figure or a table."""

_COMPARED = ("kind", "setting", "benchmark")
"""Tags of the runs of which those of one file are the latest; the others lose that."""

_logger = logging.getLogger(__name__)


class MlflowRunsDataset(AbstractDataset[Mapping[str, RunRecord] | Plan[Mapping[str, RunRecord]], dict[str, Any]]):
    """MLflow runs under that of the `kedro run`, and a JSON file about them for later stages and for people.

    Each record makes one run. Loading gives the content of the file: by the records' names `run_id`, `name`, `tags`,
    `parameters` and `metrics`. Runs of an earlier file that the new one has not are no longer `latest`.

    A run that trained networks leaves their weights as a logged model; that of a detector has the model that it read as
    its input.

    A record with the tag `kind=training` is written once for each value of its tag `model_key`: a model that was not
    trained again keeps its run, as long as that run is in the store.

    Records are plain files first. What the store does not take stays there, with an empty `run_id`, until the next save
    or `kedro run --pipelines upload`. Those of a plan are made where the files are not what it would make.

    YAML:
        ```yaml
        "{setting}.runs":
          type: scaling_ood.datasets.MlflowRunsDataset
          filepath: data/08_reporting/{setting}/runs.json
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember where it is.

        Args:
            filepath: The file about the runs.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        self._path = storage.place(filepath, credentials, fs_args)
        self._unsent, self._sent = (self._path.with_suffix(ending) for ending in (UNSENT, SENT))
        self._record = Voucher(self._path.parent, self._path.name)
        self.metadata = metadata

    def save(self, data: Mapping[str, RunRecord] | Plan[Mapping[str, RunRecord]]) -> None:
        """Write the file, then send the runs."""
        if isinstance(data, Plan):
            self._put_back()
            if not self._record.vouches_for(data.origin):
                self._record.withdraw()
                self._record.write(data.origin, self._write(data.whole()))
        else:
            self._write(data)
        self.send()

    def _put_back(self) -> None:
        """Have all that was sent waiting again."""
        content = read_record(self._path)
        for name in content:
            if _is_kept(self._sent / name) and not _is_kept(self._unsent / name):
                remove(self._unsent / name)
                move(self._sent / name, self._unsent / name, last=RUN)
            content[name]["run_id"] = ""
        remove(self._sent)
        if content:
            write_atomically(self._path, _text(content))

    def _write(self, data: Mapping[str, RunRecord]) -> dict[str, dict[str, str]]:
        """Write the file, and all that the runs show; gives what `keep` says of that, by its name beside the file."""
        before = read_record(self._path)
        remove(self._unsent)
        content, kept = {}, {}
        for name, record in data.items():
            old = before.get(name, {})
            if _is_same_training(record, old) and underway.attempt(partial(_is_in_store, old["run_id"])):
                _logger.info("%s: not trained again, its MLflow run is %s", record.name, old["run_id"])
                content[name] = old
            else:
                content[name] = _entry(record)
                shown = partial(_write_run, record, content[name])
                kept[f"{self._unsent.name}/{name}"] = keep(self._unsent / name, shown)
        write_atomically(self._path, _text(content))
        return kept

    def send(self) -> None:
        """Make runs of what is kept. Ends well whatever the store does; what it takes is removed here."""
        content = read_record(self._path)
        networks = cache(lambda training: networks_of(MlflowClient(), training))
        for name in content:
            if _is_kept(self._unsent / name):
                sent = underway.attempt(partial(_send, self._unsent / name, networks))
                if sent is None:
                    underway.unsent.append(content[name]["name"])
                    continue
                content[name] = sent
                write_atomically(self._path, _text(content))
                self._keep_sent(name)
        underway.attempt(partial(_mark_latest, list(content.values())))
        if self._unsent.is_dir() and not any(self._unsent.iterdir()):
            remove(self._unsent)

    def _keep_sent(self, name: str) -> None:
        """What was planned can be sent again, under the next `kedro run`."""
        remove(self._sent / name)
        if self._record.is_there:
            move(self._unsent / name, self._sent / name, last=RUN)
        else:
            remove(self._unsent / name)

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


class UnsentRunsDataset(AbstractDataset[Sequence[str], list[str]]):
    """The files of `MlflowRunsDataset` beside which runs wait for MLflow; saving them sends what waits.

    YAML:
        ```yaml
        unsent_runs:
          type: scaling_ood.datasets.UnsentRunsDataset
          filepath: data
          benchmark: miniature
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        benchmark: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember where to look.

        Args:
            filepath: The folder of all layers.
            benchmark: Whose runs.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        self._options = {"credentials": credentials, "fs_args": fs_args}
        self._folder = storage.place(filepath, credentials, fs_args)
        self._benchmark = benchmark
        self.metadata = metadata

    def load(self) -> list[str]:
        """The files; those of trainings come first, since their layer does."""
        found = sorted(self._folder.glob(f"*/{self._benchmark}/*/*{UNSENT}"))
        return [str(place.with_suffix(".json")) for place in found]

    def save(self, data: Sequence[str]) -> None:
        """Send what waits beside them."""
        for place in data:
            MlflowRunsDataset(filepath=place, **self._options).send()

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "benchmark": self._benchmark}


def _text(content: Mapping[str, Any]) -> str:
    """JSON, a line for each run: it is written again after each one that is sent."""
    lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in content.items())
    return "\n".join(["{", ",\n".join(lines), "}"])


def _entry(record: RunRecord) -> dict[str, Any]:
    """What the file about the runs says of one that is not sent yet."""
    return {
        "run_id": "",
        "name": record.name,
        "tags": dict(record.tags),
        "parameters": flatten_parameters(record.parameters) if record.parameters else {},
        "metrics": finite_metrics(record.metrics),
    }


def _write_run(record: RunRecord, entry: Mapping[str, Any], folder: Path) -> None:
    """Write all that a run shows to plain files."""
    for kind in ("figures", "tables"):
        (folder / kind).mkdir(parents=True)
    for stem, figure in record.figures.items():
        if hasattr(figure, "write_html"):
            figure.write_html(folder / f"figures/{stem}.html", include_plotlyjs="cdn")
        else:
            figure.savefig(folder / f"figures/{stem}.png")
    for stem, table in record.tables.items():
        table.to_csv(folder / f"tables/{stem}.csv", index=False)
    curves = {name: [float(value) for value in values] for name, values in record.curves.items()}
    shown = {
        **entry,
        "curves": curves,
        "inputs": [asdict(one) for one in record.inputs],
        "weights": record.weights,
    }
    (folder / RUN).write_text(json.dumps(shown), encoding="utf-8")


def _is_kept(folder: Path) -> bool:
    """Whether all that a run shows is there."""
    return (folder / RUN).is_file()


def _send(folder: Path, networks: Callable[[str], Sequence[LoggedModelInput]]) -> dict[str, Any]:
    """Make a run of what is kept in a folder, under the run of the `kedro run` if there is one.

    Without `mlflow.start_run`, which reads its parent and looks around in the machine for each run anew.

    Args:
        folder: With what the run shows.
        networks: Of the training with that run id.
    """
    entry = read_record(folder / RUN)
    curves, inputs, weights = entry.pop("curves"), entry.pop("inputs", ()), entry.pop("weights", None)
    tags, parent = entry["tags"], underway.parent
    client = MlflowClient()
    if tags.get("training_run") == "":  # it could not be sent either; trainings are sent before what was made of them
        tags["training_run"] = _training_run(client, tags)
    if parent:  # who ran what is the same of both
        about = {name: value for name, value in parent.data.tags.items() if name.startswith("mlflow.")}
        about[MLFLOW_PARENT_RUN_ID] = parent.info.run_id
    else:
        about = resolve_tags()
    run = client.create_run(
        str(parent.info.experiment_id if parent else _get_experiment_id()),
        tags={**about, MLFLOW_RUN_NAME: entry["name"], **tags, **process_tags()},
    )
    run_id, status = run.info.run_id, RunStatus.FAILED
    try:
        log_values(client, run_id, entry["parameters"], entry["metrics"], curves)
        training = tags.get("training_run") if weights is None else None
        log_inputs(client, run_id, inputs, networks(training) if training else ())
        if weights is not None:
            log_trained(client, run, *weights)
        with storage.local_copy(folder) as copy:
            for kind in sorted({path.parent.name for path in copy.glob("*/*")}):
                client.log_artifacts(run_id, str(copy / kind), kind)
        status = RunStatus.FINISHED
    finally:
        client.set_terminated(run_id, RunStatus.to_string(status))
    return {**entry, "run_id": run_id}


def _training_run(client: MlflowClient, tags: Mapping[str, str]) -> str:
    """The newest run of the training that a detector reads; empty without any."""
    wanted = {name: tags[name] for name in ("setting", "benchmark", "network")} | {"kind": "training", "latest": "true"}
    experiment = underway.parent.info.experiment_id if underway.parent else _get_experiment_id()
    return next((run.info.run_id for run in search(client, str(experiment), _condition(wanted))), "")


def _condition(tags: Mapping[str, str]) -> str:
    return " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())


def _is_same_training(record: RunRecord, before: Mapping[str, Any]) -> bool:
    key = record.tags.get("model_key")
    same = key is not None and before.get("tags", {}).get("model_key") == key
    return record.tags.get("kind") == "training" and same and bool(before["run_id"])


def _is_in_store(run_id: str) -> bool:
    try:
        return bool(MlflowClient().get_run(run_id).info.lifecycle_stage == LifecycleStage.ACTIVE)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return False
        raise


def _mark_latest(entries: Sequence[Mapping[str, Any]]) -> None:
    """Tag the runs of one file, and take the tag from all others of their kind, setting and benchmark.

    The older run of one that could not be sent keeps it.
    """
    client = MlflowClient()
    newest = [entry["run_id"] for entry in entries if entry["run_id"]]
    if not newest:
        return
    waiting = {entry["name"] for entry in entries if not entry["run_id"]}
    tags = {"latest": "true", **{name: entries[0]["tags"][name] for name in _COMPARED}}
    experiment_id = client.get_run(newest[0]).info.experiment_id
    if tags["kind"] == "detector":
        save_views(client, client.get_experiment(experiment_id), tags["benchmark"], tags["setting"])
    marked = list(search(client, experiment_id, _condition(tags)))
    for run_id in set(newest) - {run.info.run_id for run in marked}:
        client.set_tag(run_id, "latest", "true")
    for run in marked:
        if run.info.run_id not in newest and run.info.run_name not in waiting:
            client.set_tag(run.info.run_id, "latest", "false")
