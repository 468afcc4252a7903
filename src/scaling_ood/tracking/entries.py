"""Names and values in the form that MLflow takes: flat, short enough, without forbidden characters."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, TypeVar

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT
from mlflow.utils.validation import (
    MAX_ENTITIES_PER_BATCH,
    MAX_ENTITY_KEY_LENGTH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
)
from pydantic import BaseModel

Scalar = str | int | float | bool
Item = TypeVar("Item")

_MOST_METRICS = MAX_ENTITIES_PER_BATCH - MAX_PARAMS_TAGS_PER_BATCH
"""In a call that has parameters too."""


def flatten_parameters(value: Any, prefix: str = "") -> dict[str, Scalar]:
    """Nested parameters as one level of dotted names; mappings, Pydantic models and dataclasses are opened.

    What is empty stays visible: `None` is `null`, an empty mapping `{}`. Lists are JSON; so are infinities and NaN,
    which JSON lacks, as text.

    >>> flatten_parameters({"classifier": {"epochs": 20, "seeds": (0, 1), "input_px": None}}, "networks")
    {'networks.classifier.epochs': 20, 'networks.classifier.seeds': '[0, 1]', 'networks.classifier.input_px': 'null'}
    """
    value = _opened(value)
    if not isinstance(value, Mapping) or not value:
        return {prefix: _scalar(value)}
    flat: dict[str, Scalar] = {}
    for key, inner in value.items():
        flat |= flatten_parameters(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def valid_name(name: str) -> str:
    """A name that MLflow takes for a metric or parameter: other characters become `_`, what is too long is cut.

    >>> valid_name("auroc:textures (near)/50%")
    'auroc_textures _near_/50_'
    """
    parts = [part if part.strip(".") else "_" for part in re.sub(r"[^/\w.\- ]", "_", name).split("/") if part]
    return ("/".join(parts) or "_")[:MAX_ENTITY_KEY_LENGTH]


def parameter_text(value: Scalar) -> str:
    """How a parameter is stored: text as it is, the rest as JSON; a value beyond MLflow's limit is cut and says so."""
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= MAX_PARAM_VAL_LENGTH:
        return text
    note = f" ... (cut; {len(text)} characters)"
    return text[: MAX_PARAM_VAL_LENGTH - len(note)] + note


def finite_metrics(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics under valid names; those without a finite value (None, NaN, infinity) are left out."""
    return {
        valid_name(name): float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)
    }


def log_values(
    client: MlflowClient,
    run_id: str,
    parameters: Mapping[str, Scalar],
    metrics: Mapping[str, float] = MappingProxyType({}),
    curves: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> None:
    """Write flat parameters, last values of metrics, and curves from step 1, in as few calls as MLflow allows.

    There may be any number of each, and parameters of any length; metrics that are not finite are left out.
    """
    params = [Param(key, text) for key, text in _texts(parameters).items()]
    now = int(time.time() * 1000)
    entries = [Metric(name, value, now, 0) for name, value in finite_metrics(metrics).items()]
    for name, values in curves.items():
        for step, value in enumerate(values, start=1):
            entries += [Metric(key, finite, now, step) for key, finite in finite_metrics({name: value}).items()]
    batches = _batches(params, MAX_PARAMS_TAGS_PER_BATCH), _batches(entries, _MOST_METRICS)
    for some_params, some_metrics in zip_longest(*batches):
        client.log_batch(run_id, metrics=some_metrics or (), params=some_params or ())


def log_inputs(
    client: MlflowClient, run_id: str, inputs: Sequence[Mapping[str, Any]], models: Sequence[LoggedModelInput] = ()
) -> None:
    """Write which images a run used, as data sets with their digests, and which networks.

    Args:
        client: Of the store.
        run_id: The run's.
        inputs: Of each image set the fields of `scaling_ood.products.records.UsedImages`.
        models: The networks, where they are logged.
    """
    datasets = [
        DatasetInput(
            Dataset(
                name=one["data_set"],
                digest=one["digest"],
                source_type="local",
                source=json.dumps({"uri": one["folder"]}),
                profile=json.dumps({"images": one["images"], "classes": one["classes"]}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, one["role"])],
        )
        for one in inputs
    ]
    if datasets or models:
        client.log_inputs(run_id, datasets, [*models])


def _opened(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value.value if isinstance(value, Enum) else value


def _scalar(value: Any) -> Scalar:
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if value is None or isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=_in_list)
    return str(value)


def _in_list(value: Any) -> Any:
    opened = _opened(value)
    return str(value) if opened is value else opened


def _texts(parameters: Mapping[str, Scalar]) -> dict[str, str]:
    return {valid_name(name): parameter_text(value) for name, value in parameters.items()}


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
