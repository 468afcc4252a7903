"""What a person adds: detectors that need different things of a network, and a setting; as the text of their files."""

TOYS = {
    "logit_spread": '''"""Reads logits: the negative spread of the logits."""

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.outputs import Outputs


@detector
class LogitSpread(Detector):
    """max - min of the logits, negated: confident images have a large one."""

    def score(self, chunk: Outputs) -> torch.Tensor:
        logits = self.read(chunk, "logits")
        return logits.amin(dim=1) - logits.amax(dim=1)
''',
    "feature_distance": '''"""Fits on features: the distance from the mean feature of the fit images."""

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.outputs import Outputs, OutputsView


@detector
class FeatureDistance(Detector):
    """|f - mean|, with the mean over the fit images."""

    needs = frozenset({"features"})
    dense = False

    def fit(self, outputs: OutputsView) -> "FeatureDistance":
        total, images = torch.zeros((), dtype=torch.float64), 0
        for chunk in outputs:
            features = self.read(chunk, "features", finite=True)
            total, images = total + features.double().sum(dim=0), images + len(features)
        self.mean = total / images
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        features = self.read(chunk, "features")
        return (features.double() - self.mean).norm(dim=1).to(features.dtype)
''',
    "input_gradient": '''"""Needs the gradient of the loss at the input: its length."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.needs import Given, Need
from scaling_ood.detectors.outputs import Outputs


@dataclass(frozen=True)
class LossGradient(Need):
    """Length of the gradient of the cross-entropy with the predicted class: (N,), or (N, H, W) for pixels."""

    name: ClassVar[str] = "loss_gradient"
    requires: ClassVar[frozenset[str]] = frozenset({"logits"})
    float32: ClassVar[bool] = True

    def make(self, given: Given) -> torch.Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            inputs = given.inputs.clone().requires_grad_()
            logits = given.network(inputs)["logits"]
            loss = torch.nn.functional.cross_entropy(logits, logits.argmax(dim=1), reduction="sum")
            (gradient,) = torch.autograd.grad(loss, inputs)
        length = gradient.norm(dim=1)
        return length.mean(dim=(1, 2)) if logits.ndim == 2 else length


@detector
class InputGradient(Detector):
    """The longer the gradient, the less sure the network."""

    needs = frozenset({LossGradient()})

    def score(self, chunk: Outputs) -> torch.Tensor:
        return self.read(chunk, "loss_gradient")
''',
    "early_map": '''"""Needs an intermediate feature map: how much the first convolution responds."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from scaling_ood.detectors.base import Detector, detector
from scaling_ood.detectors.needs import Given, Need
from scaling_ood.detectors.outputs import Outputs


@dataclass(frozen=True)
class FirstMap(Need):
    """What the first convolution makes, pooled to (N, D) for images, (N, D, h, w) for pixels: one more pass."""

    name: ClassVar[str] = "first_map"
    requires: ClassVar[frozenset[str]] = frozenset({"logits"})

    def make(self, given: Given) -> torch.Tensor:
        first = next(layer for _, layer in given.network.named_modules() if isinstance(layer, torch.nn.Conv2d))
        seen: list[torch.Tensor] = []
        handle = first.register_forward_hook(lambda *passed: seen.append(passed[-1]))
        with torch.no_grad():
            given.network(given.inputs)
        handle.remove()
        return seen[0].mean(dim=(2, 3)) if given.outputs["logits"].ndim == 2 else seen[0]


@detector
class EarlyMap(Detector):
    """The mean over the channels."""

    needs = frozenset({FirstMap()})

    def score(self, chunk: Outputs) -> torch.Tensor:
        return self.read(chunk, "first_map").mean(dim=1)
''',
}
"""Name of a detector to its file."""

PAIRS_PARAMETERS = """
pairs:
  data: {folder: pairs, ood: [tinted]}
  networks:
    classifier: {architecture: difference, weights: trained, epochs: 1}
  detectors:
    msp: {}
    max_logit: {}
    knn: {neighbours: 2}
    mc_dropout: {}
"""

PAIRS_TASK = '''"""Pairs of pictures, which show the same or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from scaling_ood.detectors import Need
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name
from scaling_ood.evaluation.facts import data_facts, detector_run, network_facts
from scaling_ood.evaluation.scoring import score_images
from scaling_ood.evaluation.tables import mark_ties, measure_scores, summarise
from scaling_ood.parameters.common import AnyDataSpec, Count, Name, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.setting import ExtractionSpec, SettingSpec
from scaling_ood.products.keys import digest
from scaling_ood.products.plans import Part, Plan, TrainingPlan
from scaling_ood.products.preparation import Manifest, Place, Preparation
from scaling_ood.products.records import RunRecord
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredShards, Tensors
from scaling_ood.report import render_report
from scaling_ood.tasks.task import Task

CLASSES = ("other", "same")
KNOWN = ("train", "fit", "test")


class PairsDataSpec(AnyDataSpec):
    """A folder with `<set>/<class>/<number>_{left,right}.png`."""

    folder: str
    ood: tuple[Name, ...]

    @property
    def sources(self) -> dict[str, str]:
        return {"pairs": "photographs", **dict.fromkeys(self.ood, "photographs")}

    def photographs(self) -> dict[str, str]:
        return {"pairs": self.folder}


class DifferenceSpec(NetworkSpec):
    """A linear layer on the absolute difference of the mean colours."""

    epochs: Count = 1

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"logits", "features"})

    @property
    def registered(self) -> None:
        return None

    @property
    def recipe(self) -> frozenset[str]:
        return frozenset({"epochs"})


class PairsSpec(SettingSpec):
    """Everything about the setting."""

    data: PairsDataSpec
    networks: dict[Name, DifferenceSpec]


class Pairs(Task):
    """Two pictures that show the same, or not."""

    name = "pairs"
    spec = PairsSpec

    def prepare(
        self,
        data: AnyDataSpec,
        benchmark: str,
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,
    ) -> tuple[Manifest, pd.DataFrame]:
        assert isinstance(data, PairsDataSpec)
        root = Path(roots["photographs"]) / data.folder
        rows = []
        for image_set in (*KNOWN, *data.ood):
            for path in sorted((root / image_set).rglob("*_left.png")):
                label, place = CLASSES.index(path.parent.name), path.relative_to(root)
                rows.append((f"pairs/{place}", str(place), image_set, "pairs", label, digest(_pixels(path))))
        table = pd.DataFrame(rows, columns=["id", "path", "image_set", "data_set", "label", "content"])
        sets = {str(name): part for name, part in table.groupby("image_set", sort=False)}
        record = Preparation(
            setting=self.name,
            benchmark=benchmark,
            in_dist="pairs",
            ood=data.ood,
            places={"pairs": Place(root="photographs", folder=data.folder)},
            classes=CLASSES,
            sources=dict.fromkeys(data.ood, "photographs"),
            images={name: len(part) for name, part in sets.items()},
            digests={name: digest(part[["id", "label", "content"]].values.tolist()) for name, part in sets.items()},
        )
        return Manifest(table, record, roots), pd.DataFrame(columns=["path", "reason"])

    def plan_training(
        self,
        network: NetworkSpec,
        manifest: Manifest,
        runtime: RuntimeSpec,
        features: StoredShards | None,
        checkpoint: ProvidedFile | None,
    ) -> TrainingPlan:
        assert isinstance(network, DifferenceSpec)
        about = {"model": "difference", "architecture": "difference", "weights": "trained here", "seeds": [0]}
        told = {"targets": "classes", "input": "mean colours", "told": {"Epochs": network.epochs}}
        return TrainingPlan(network.epochs, partial(_trained, network.epochs, manifest), {**about, **told})

    def passed_sets(self, network: NetworkSpec, prepared: Preparation) -> Sequence[str]:
        return ("fit", "test", *prepared.ood)

    def plan_outputs(
        self,
        network: NetworkSpec,
        model: StoredModel,
        manifest: Manifest,
        needs: frozenset[str | Need],
        extraction: ExtractionSpec,
        runtime: RuntimeSpec,
        features: StoredShards | None,
    ) -> Plan[Tensors]:
        sets = self.passed_sets(network, manifest.preparation)
        parts = [Part(f"{name}-00000", manifest.preparation.images[name]) for name in sets]
        ran = {"device": "cpu", "precision": "float32", "stored": "float32", "torch": torch.__version__}
        return Plan(parts, partial(_passed, model, manifest), {**model.about, **ran, "model_key": model.origin.key})

    def check(self, network: NetworkSpec, outputs: StoredShards, manifest: Manifest) -> Quality:
        labels = torch.tensor(manifest.of("test")["label"].to_numpy())
        right = ImageOutputs(outputs, "test", seed_name(0)).logits().argmax(dim=1) == labels
        value = float(right.float().mean())
        return Quality("top1", value, network.least, {"test": {"top1": value}}, {"test": len(labels)})

    def score(self, method, outputs, quality, manifest, runtime) -> Plan[Tensors]:
        def view(method: Method, seed: int) -> ImageOutputs:
            return ImageOutputs(outputs, self.fit_set, seed_name(seed), method.needs)

        return score_images(method, outputs, quality, manifest, ("test", *manifest.preparation.ood), view, runtime)

    def measure(
        self,
        scores: Scores,
        manifest: Manifest,
        reporting: ReportingSpec,
        runtime: RuntimeSpec,
        method: Method | None,
        outputs: StoredShards | None,
    ) -> Plan[Tensors]:
        metrics = measure_scores(scores, manifest.preparation, reporting)
        measured = Measured(summarise(metrics, scores, manifest.preparation, reporting), metrics)
        return Plan.undivided(lambda: measured)

    def mark(
        self,
        results: pd.DataFrame,
        scores: Mapping[str, Scores],
        measured: Mapping[str, Measured],
        manifest: Manifest,
        reporting: ReportingSpec,
    ) -> pd.DataFrame:
        return mark_ties(results, list(scores.values()), manifest.preparation, reporting)

    def report(
        self,
        methods: Mapping[str, Method],
        results: pd.DataFrame,
        metrics: pd.DataFrame,
        manifest: Manifest,
        reporting: ReportingSpec,
        scores: Mapping[str, Scores],
        outputs: Mapping[str, StoredShards],
        quality: Quality,
        maps: StoredShards | None,
    ) -> tuple[str, dict[str, Any]]:
        prepared = manifest.preparation
        facts = {"Data": data_facts(prepared), "Network": network_facts(outputs["classifier"], quality)}
        return render_report(prepared.benchmark, prepared.setting, results, facts=facts), {}

    def run(
        self,
        scores: Scores,
        results: pd.DataFrame,
        manifest: Manifest,
        reporting: ReportingSpec,
        training_run_id: str,
        maps: StoredShards | None,
    ) -> RunRecord:
        return detector_run(scores, results, manifest.preparation, reporting, self.fit_set, training_run_id, {})


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def _differences(manifest: Manifest, image_set: str) -> torch.Tensor:
    """(N, 4): by how much the mean colours of the two pictures differ, and 1."""
    found = []
    for path in manifest.of(image_set)["path"]:
        left = Path(manifest.folders["pairs"]) / path
        sides = [_pixels(left), _pixels(left.with_name(left.name.replace("left", "right")))]
        difference = np.abs(sides[0].astype(float) - sides[1]).mean(axis=(0, 1)) / 255
        found.append([*difference, 1])
    return torch.tensor(found, dtype=torch.float32)


def _trained(epochs: int, manifest: Manifest, state: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    features, labels = _differences(manifest, "train"), torch.tensor(manifest.of("train")["label"].to_numpy())
    targets = 2 * torch.nn.functional.one_hot(labels, len(CLASSES)).float() - 1
    weight = torch.linalg.lstsq(features, targets).solution.T
    history = list(state["history"]) if state else []
    for epoch in range(len(history) + 1, epochs + 1):
        loss = float((features @ weight.T - targets).square().mean())
        history = [*history, {"variant": seed_name(0), "epoch": epoch, "train_loss": loss}]
        yield {"models": {f"{seed_name(0)}.best": {"weight": weight}}, "history": history}


def _passed(model: StoredModel, manifest: Manifest, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
    weight = model.states()[seed_name(0)]["weight"]
    for part in missing:
        features = _differences(manifest, part.name.rsplit("-", 1)[0])
        yield part.name, {f"{seed_name(0)}/logits": features @ weight.T, f"{seed_name(0)}/features": features}
'''
"""File of a task, with the classes of its parameters."""
