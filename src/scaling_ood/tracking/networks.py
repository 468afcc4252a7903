"""Trained networks as MLflow's logged models: weights that a training left, and which runs read them."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mlflow.entities import LoggedModelInput, LoggedModelOutput, Run
from mlflow.tracking import MlflowClient

from scaling_ood import storage
from scaling_ood.products.kept_files import is_intact

_logger = logging.getLogger(__name__)

_TYPE = "safetensors"
"""Of the model, for MLflow: tensors and a record. It has no flavour: what runs it is this project."""

_NOT_IN_NAMES = re.compile("[/:.%\"']")
"""Characters that MLflow refuses in a model's name."""


def log_trained(client: MlflowClient, run: Run, path: str, sha256: str) -> None:
    """Log the networks of a training as a model: the weights of all seeds, and the record of what they are made of.

    Args:
        client: Of the store.
        run: Of the training.
        path: The weights, beside their record.
        sha256: Of that file. Weights that have become others since are not logged; the terminal says so.
    """
    weights: Path = storage.place(path)
    tags = run.data.tags
    if not is_intact(weights, sha256):
        _logger.warning("%s: %s holds other weights now; they are not logged", run.info.run_name, weights)
        return
    named = _NOT_IN_NAMES.sub("-", f"{tags['benchmark']}-{tags['setting']}-{tags['network']}")
    kept: dict[str, str] = {
        name: tags[name] for name in ("benchmark", "setting", "network", "model", "model_key") if name in tags
    }
    told = {**kept, "sha256": sha256}
    model = client.create_logged_model(run.info.experiment_id, named, run.info.run_id, told, model_type=_TYPE)
    with storage.local_copy(weights.parent) as folder:
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])


def networks_of(client: MlflowClient, training_run_id: str) -> list[LoggedModelInput]:
    """The networks of a training as inputs of a run that read them; empty where they were not logged."""
    trained = client.get_run(training_run_id).outputs
    return [LoggedModelInput(each.model_id) for each in trained.model_outputs] if trained else []
