"""A packaged detector as an MLflow model: a folder that can be served as it is, and a registered version."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
from collections.abc import Mapping
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import scaling_ood
from scaling_ood import storage
from scaling_ood.datasets.placed import PlacedDataset
from scaling_ood.products.kept_files import keep, read_record, remove, write_atomically
from scaling_ood.products.packages import RESULTS, Package, write_package
from scaling_ood.report import results_text
from scaling_ood.tracking.processes import process_tags
from scaling_ood.tracking.underway import underway

ARTIFACT = "package"
"""What the model calls the folder of the package."""

LOADER = Path(scaling_ood.__file__).parent / "serving" / "loader.py"
"""What MLflow runs to load the model. It is not imported here: that would load the graph."""

RECORD = "registered.json"

PROJECT = "scaling-ood"
"""The distribution that brings the code, and whose requirements may move a score."""

_logger = logging.getLogger(__name__)


class PackagedModelDataset(PlacedDataset[Package, dict[str, Any]]):
    """A folder with the MLflow model of a package, and beside it `<folder>.json` about the version in the registry.

    The folder is complete without any server. The model is then logged under the run of the `kedro run`, with the
    results table, and registered under the package's name. Loading gives what the record says: `folder`, `name`,
    `version` and `uri`; the latter are empty if the store did not take it.

    YAML:
        ```yaml
        "{setting}.package":
          type: scaling_ood.datasets.PackagedModelDataset
          filepath: data/06_models/{setting}/package
        ```
    """

    @property
    def _record(self) -> Path:
        return self._at.with_name(f"{self._at.name}.json")

    def save(self, data: Package) -> None:
        """Write the model, then log and register it."""
        remove(self._record)
        with TemporaryDirectory(dir=_existing(self._at.parent)) as temporary:
            package = Path(temporary) / ARTIFACT
            write_package(data, package)
            model = _model(data, package)
            keep(self._at, lambda folder: mlflow.pyfunc.save_model(folder, **model))
            registered = underway.attempt(lambda: _register(data, model, package))
        record = {"folder": str(self._at), "name": data.name, "version": "", "uri": "", **(registered or {})}
        write_atomically(self._record, json.dumps(record, indent=1))
        _logger.info(_promise(data.about))
        if registered:
            _logger.info("Registered %s (make serve MODEL=%s)", record["uri"], record["uri"])
        else:
            _logger.warning(
                "MLflow did not take the model (%s). It can be served from its folder %s; to register it, run the same "
                "command again",
                underway.problem, self._at,
            )  # fmt: skip

    def load(self) -> dict[str, Any]:
        """Where it is."""
        record = read_record(self._record)
        if not record:
            raise FileNotFoundError(f"{self._record} is not there")
        return record

    def _exists(self) -> bool:
        return bool(read_record(self._record)) and self._at.is_dir()


def _existing(folder: Path) -> Path | None:
    """A folder, made if need be; None for one in an object store."""
    if storage.is_stored(folder):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _model(data: Package, package: Path) -> dict[str, Any]:
    """What MLflow makes a model of."""
    about = data.about
    told = ("setting", "benchmark", "detector", "model", "weights", "threshold")
    return {
        "python_model": str(LOADER),
        "artifacts": {ARTIFACT: str(package)},
        "signature": _signature(about),
        "input_example": pd.DataFrame({"image": [_example()]}),
        "pip_requirements": [about["requirement"], *_versions()],
        "metadata": {name: about[name] for name in told},
    }


def _promise(about: Mapping[str, Any]) -> str:
    """What whoever serves it must know, in words."""
    chosen = about["threshold"]
    caught = ", ".join(f"{share:.0%} of {name}" for name, share in chosen["caught"].items())
    return (
        f"{about['detector']} calls at most {chosen['false_alarm_rate']:.0%} of what is known an anomaly, and caught "
        f"{caught}; another detector: --params {about['setting']}.packaging.detector=NAME"
    )


def _signature(about: Mapping[str, Any]) -> ModelSignature:
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(AnyType(), "image", required=False),  # type: ignore[no-untyped-call]
        ColSpec(DataType.string, "path", required=False),
    ]
    scores = [ColSpec(DataType.double, "score"), ColSpec(DataType.boolean, "is_anomaly")]
    if "pixel_threshold" in about["threshold"]:
        return ModelSignature(Schema(inputs), Schema([*scores, ColSpec(DataType.string, "map")]))
    named: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "class", required=False),
        ColSpec(DataType.long, "class_index", required=False),
        ColSpec(Array(DataType.string), "classes", required=False),
    ]
    return ModelSignature(Schema(inputs), Schema([*named, *scores]))


def _example() -> str:
    """An image of nothing, as data sets have terms: a gradient, as Base64 of a PNG."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.stack([*np.meshgrid(ramp, ramp[::-1]), np.full((64, 64), 128, np.uint8)], axis=-1)).save(
        file, "PNG"
    )
    return base64.b64encode(file.getvalue()).decode()


def _versions() -> list[str]:
    """Of the requirements that this process has loaded, extras included, those that it computes with."""
    wanted = {canonicalize_name(Requirement(each).name) for each in requires(PROJECT) or ()}
    loaded = {top: names for top, names in packages_distributions().items() if top in sys.modules}
    found = sorted({canonicalize_name(name) for names in loaded.values() for name in names} & wanted)
    # A build's own ending, such as +cpu, is on no index.
    return [f"{name}=={version(name).partition('+')[0]}" for name in found]


def _register(data: Package, model: dict[str, Any], package: Path) -> dict[str, Any]:
    """Log the model under the run of the `kedro run`, with its table, and register it."""
    about, parent = data.about, underway.parent
    tags = {name: str(about[name]) for name in ("setting", "benchmark", "detector", "model")}
    with mlflow.start_run(
        run_name=f"{about['setting']}.package",
        nested=True,
        parent_run_id=parent.info.run_id if parent else None,
        experiment_id=parent.info.experiment_id if parent else None,
        tags={**tags, "kind": "package", **process_tags()},
        log_system_metrics=False,
    ):
        mlflow.log_artifact(str(package / RESULTS), "tables")
        logged = mlflow.pyfunc.log_model(name="model", registered_model_name=data.name, **model)
    number = str(logged.registered_model_version)
    client = MlflowClient()
    for name, value in {**tags, "false_alarm_rate": str(about["threshold"]["false_alarm_rate"])}.items():
        client.set_model_version_tag(data.name, number, name, value)
    client.update_model_version(data.name, number, f"```\n{results_text(data.results)}\n```")
    return {"version": number, "uri": f"models:/{data.name}/{number}"}
