"""A packaged detector at work: images in, answers out. What it says is what the pipeline's scores say."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter

from scaling_ood.detectors import Detector, Outputs, field_of
from scaling_ood.evaluation.learned import learned_view, scene_of
from scaling_ood.evaluation.passes import made
from scaling_ood.images.received import Limits
from scaling_ood.models import Forward, Network, OutputCheck, encode_all
from scaling_ood.parameters.detectors import DetectorSpec, methods_of
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.products.packages import Package, PackageError
from scaling_ood.products.preparation import Preparation
from scaling_ood.products.stored import Tensors
from scaling_ood.tasks.task import Task, tasks

BATCH_IMAGES = 16
"""Whole images that pass the network together; scenes pass it one by one."""

_NETWORK = "network"

Answer = dict[str, Any]


class Deployed:
    """The network of a package with its detector, fitted; one request at a time uses them, whatever the threads.

    Attributes:
        task: Of the setting.
        about: What the package says of itself; its tensors are not held twice.
        limits: Of what is received.
        prepared: What the images were.
    """

    def __init__(self, package: Package, device: str = "auto", root: str = "") -> None:
        """Load the network and fit the detector.

        Args:
            package: Opened.
            device: As of `Forward`.
            root: Folder below which paths of images may lie; empty where none may.

        Raises:
            PackageError: The package is of a setting that this version does not know.
            ValueError: So is its network, or its detector.
        """
        about = self.about = package.about
        known = {task.name: task for task in tasks()}
        if about["setting"] not in known:
            raise PackageError(f"the package is of the setting '{about['setting']}', and there are: {', '.join(known)}")
        self.task: Task = known[about["setting"]]
        self.limits = Limits(**about["limits"], root=root)
        self.prepared = Preparation.model_validate(about["preparation"])
        self._spec = _network_spec(self.task, about["network"], package.network_files())
        self._forward = Forward(device, about["precision"])
        network = self.task.revived(self._spec, self.prepared, package.network, about["class_order"])
        self._network: Network = self._forward.place(network).requires_grad_(False)  # type: ignore[assignment]
        self._detector = _detector(about["detectors"], about["detector"])
        self._needs = sorted(self._detector.needs | ({"logits"} & network.gives), key=field_of)
        self._detector.fit(learned_view(self._detector, package.learned, about["class_names"]))
        self._check = OutputCheck("", "the network", about["precision"], getattr(torch, about["stored"]))
        self._one_at_a_time = Lock()

    def answers(self, images: Sequence[Image.Image]) -> list[Answer]:
        """What is said of some images: class, anomaly score, whether it is an anomaly; of scenes a map.

        Args:
            images: RGB, upright if the data's were.
        """
        with self._one_at_a_time:
            return [*(self._of_scenes(images) if self.task.spec.dense else self._of_images(images))]

    def _of_images(self, images: Sequence[Image.Image]) -> Iterator[Answer]:
        threshold = self.about["threshold"]["threshold"]
        for start in range(0, len(images), BATCH_IMAGES):
            some = [self._inputs(image)[0] for image in images[start : start + BATCH_IMAGES]]
            fields = {name: each.float() for name, each in self._passed(torch.cat(some)).items()}
            outputs = Outputs(**fields)
            scores = self._detector.score(outputs).double().tolist()
            for number, score in enumerate(scores):
                named = self._named(outputs.logits[number]) if "logits" in outputs else {}
                yield {**named, "score": score, "is_anomaly": score > threshold}

    def _of_scenes(self, images: Sequence[Image.Image]) -> Iterator[Answer]:
        chosen = self.about["threshold"]
        for image in images:
            stored: Tensors = {}
            for scale, inputs in enumerate(self._inputs(image)):
                stored |= {f"{_NETWORK}/{name}/{scale}": each for name, each in self._passed(inputs).items()}
            outputs = scene_of(stored, image.size[::-1]).outputs(_NETWORK, self._detector.needs)
            scores = self._detector.score(outputs)[0].float().numpy()
            share = float((scores > chosen["pixel_threshold"]).mean())
            yield {"score": share, "is_anomaly": share > chosen["threshold"], "map": _as_text(scores)}

    def _inputs(self, image: Image.Image) -> list[torch.Tensor]:
        pixels, preprocessing = self.task.network_pixels(self._spec, self.prepared, image)
        return [self._forward.inputs(preprocessing, each[None]) for each in pixels]

    def _passed(self, inputs: torch.Tensor) -> Tensors:
        """What the pipeline would have stored of a batch."""
        networks = {_NETWORK: self._network}
        with self._forward.arithmetic():
            with torch.inference_mode():
                encoded = encode_all(networks, inputs)
            fields = made(networks, inputs, encoded, self._needs)
        float32 = {field_of(need) for need in self._needs if getattr(need, "float32", False)}
        kept = {
            (name := key.split("/", 1)[1]): self._check.keep(name, each, torch.float32 if name in float32 else None)[0]
            for key, each in fields.items()
        }
        return {name: each.cpu() for name, each in kept.items()}

    def _named(self, logits: torch.Tensor) -> Answer:
        """The likeliest class; with one sigmoid a class also all that are likelier than not."""
        names = self.about["class_names"]
        best = int(logits.argmax())
        several = {}
        if self._network.posterior == "sigmoid":
            several = {"classes": [name for name, logit in zip(names, logits.tolist(), strict=True) if logit > 0]}
        return {"class": names[best], "class_index": best, **several}


def _network_spec(task: Task, raw: Mapping[str, Any], files: Path | None) -> NetworkSpec:
    if files is not None:
        source, _, name = raw["architecture"].partition(":")
        raw = {**raw, "architecture": f"{source}:{files / name}"}
    kind: TypeAdapter[Any] = TypeAdapter(task.spec.model_fields["networks"].annotation)  # type: ignore
    specs: dict[str, NetworkSpec] = kind.validate_python({_NETWORK: raw})
    return specs[_NETWORK]


def _detector(raw: Mapping[str, Any], name: str) -> Detector:
    return methods_of({each: DetectorSpec.model_validate(own) for each, own in raw.items()})[name].build()


def _as_text(scores: np.ndarray) -> str:
    """An array as the Base64 of its `.npy` file."""
    file = io.BytesIO()
    np.save(file, scores)
    return base64.b64encode(file.getvalue()).decode()
