"""Trained models: trained epoch by epoch from a `TrainingPlan`, resumed after the last whole epoch."""

from __future__ import annotations

import json
import logging
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from scaling_ood import storage
from scaling_ood.datasets.placed import PlacedDataset
from scaling_ood.engines import Engine, Local
from scaling_ood.models.chance import alone
from scaling_ood.products.kept_files import RECORD, is_intact, keep, read_record, remove, write_atomically
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import TrainingPlan
from scaling_ood.products.stored import StoredModel

_logger = logging.getLogger(__name__)

_BEST = ".best"
"""Ends the names of the weights that are used; those of the last epoch are of use to a training alone."""

_NOT_SHOWN = ("variant", "epoch", "seconds")
"""What of an epoch's row is no quantity that its progress bar shows."""


class CheckpointDataset(PlacedDataset[TrainingPlan, StoredModel]):
    """A folder with `model.safetensors` and `record.json`; while training, also `state.pt` of the last whole epoch.

    Saving a plan whose key the record bears does nothing; a state of the same key is resumed; one of another key is
    replaced. Weights and states that are not what was written are made again.

    Attributes:
        engine: Who trains.

    YAML:
        ```yaml
        "{setting}.{network}.model":
          type: scaling_ood.datasets.CheckpointDataset
          filepath: data/06_models/model
        ```
    """

    engine: Engine = Local()

    @alone()
    def save(self, data: TrainingPlan) -> None:
        """Train what is not trained yet."""
        record = self._record()
        if record.get("key") == data.key and is_intact(self._weights, record["sha256"], record.get("looks")):
            return
        state = self._unfinished(data.key)
        started = time.perf_counter()
        before = len(state["history"]) if state else 0
        with tqdm(
            total=data.epochs,
            initial=before,
            unit="epoch",
            desc="training",
            mininterval=1,
            disable=not data.epochs,
        ) as bar:
            for latest_state in self.engine.train(data.run, state) if data.epochs else ():
                state = latest_state
                if state["history"]:
                    latest = state["history"][-1]
                    latest["seconds"], started = time.perf_counter() - started, time.perf_counter()
                    shown = {n: f"{value:.3f}" for n, value in latest.items() if n not in _NOT_SHOWN}
                    bar.set_postfix(shown, refresh=False)
                self._keep(data.key, state)
                bar.update()
        self._finish(data, state or {"models": {}, "history": []})

    def load(self) -> StoredModel:
        """The finished model."""
        record = self._record()
        if not record:
            raise FileNotFoundError(f"{self._at} holds no finished model")
        origin = Origin.of_record(record)
        return StoredModel(origin, record["about"], record["history"], self._weights, record["sha256"])

    peek = load

    @property
    def _weights(self) -> Path:
        return self._at / "model.safetensors"

    def _unfinished(self, key: str) -> dict[str, Any] | None:
        path = self._at / "state.pt"
        if not path.is_file():
            return None
        with storage.local_copy(path) as copy:
            if not _is_whole(copy):
                _logger.warning("%s is empty or damaged: training begins anew", path)
                return None
            kept: dict[str, Any] = torch.load(copy, weights_only=True)
        return kept["state"] if kept["key"] == key else None

    def _keep(self, key: str, state: dict[str, Any]) -> None:
        keep(self._at / "state.pt", partial(torch.save, {"key": key, "state": state}))

    def _finish(self, plan: TrainingPlan, state: dict[str, Any]) -> None:
        remove(self._at / RECORD)
        best = {name.removesuffix(_BEST): state for name, state in state["models"].items() if name.endswith(_BEST)}
        tensors = {
            f"{network}/{name}": t.contiguous().clone() for network, own in best.items() for name, t in own.items()
        }
        kept = keep(self._weights, partial(save_file, tensors))
        record = {
            **plan.origin.record(),
            "about": dict(plan.about),
            "history": state["history"],
            **kept,
        }
        write_atomically(self._at / RECORD, json.dumps(record, indent=1))
        remove(self._at / "state.pt")

    def _record(self) -> dict[str, Any]:
        record = read_record(self._at / RECORD)
        return record if "sha256" in record and self._weights.is_file() else {}

    def _exists(self) -> bool:
        return bool(self._record())


def _is_whole(state: Path) -> bool:
    """Whether a file of `torch.save` is what was written, by the checksums of the ZIP archive that it is."""
    try:
        with zipfile.ZipFile(state) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
