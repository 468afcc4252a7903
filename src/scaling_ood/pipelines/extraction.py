"""Plans of forward passes over image sets: shared by the training features and the outputs of the detectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import nn

from scaling_ood.detectors import Detector, NotApplicableError, build_detector, detector_class
from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.detectors.odin import perturbed_logits
from scaling_ood.images import ImageSource, Loading, NoiseImages, Photographs, Preprocessing, recorded_files
from scaling_ood.models import Forward, ForwardPass, MultiLabelNetworks, OutputCheck
from scaling_ood.models.network import Separate, SharedBackbone
from scaling_ood.networks import IMAGES, SHARED
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_class import OdinSpec
from scaling_ood.plans import Part
from scaling_ood.preparation import Preparation

Tensors = dict[str, torch.Tensor]
Detectors = dict[str, dict[str, Any] | bool]


_FAULTS = "faults:"
"""Begins the names of what was found in the outputs, beside them until a shard is whole."""


@dataclass(frozen=True)
class DropoutPasses:
    """Passes behind the dropout of a multi-label head.

    Attributes:
        passes: How many.
        seed: Of their masks, which are the same for all images.
    """

    passes: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Extraction:
    """One pass of a network over image sets, in shards.

    Attributes:
        manifest: All images.
        preparation: Where they are, and how noise is made.
        preprocessing: Of the network's weights.
        forward: Device, precision, memory order.
        loading: Batches and workers.
        fields: What to keep: fields of `ForwardPass`, `odin_logits`, `posterior_variance`.
        shard_images: Images per shard.
        odin: The step of ODIN, where its logits are kept.
        dropout: Passes of multi-label networks, where the variance over them is kept.
        stored: Type of what is kept.
        setting: Whose pass it is, for messages.
        network: Which network, in words.
    """

    manifest: pd.DataFrame
    preparation: Preparation
    preprocessing: Preprocessing
    forward: Forward
    loading: Loading
    fields: Sequence[str]
    shard_images: int
    odin: OdinSpec = field(default_factory=OdinSpec)
    dropout: DropoutPasses = DropoutPasses()
    stored: torch.dtype = torch.float32
    setting: str = ""
    network: str = "the network"

    def about(self, model: str) -> dict[str, object]:
        """What is recorded of the pass; `model` is the architecture."""
        return {
            "device": self.forward.device_name,
            "precision": self.forward.precision,
            "model": model,
            "torch": torch.__version__,
        }

    def parts(self, image_sets: Sequence[str]) -> list[Part]:
        """Shards of the image sets, such as `test-00003`, in the order of the manifest."""
        parts = []
        for name in image_sets:
            images = self.preparation.images[name]
            for number, start in enumerate(range(0, images, self.shard_images)):
                parts.append(Part(f"{name}-{number:05d}", min(self.shard_images, images - start)))
        return parts

    def produce(self, network: nn.Module, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Outputs of the missing shards: `<variant>/<field>` to a tensor (N, ...) of the stored type, on the CPU.

        Raises:
            NetworkOutputError: The network gives NaN for some images; no shard is stored that has one.
        """
        network = self.forward.place(network).requires_grad_(False)
        for image_set in dict.fromkeys(image_set_of(part.name) for part in missing):
            mine = [part for part in missing if image_set_of(part.name) == image_set]
            rows = self._images(image_set, mine)
            source = self._source(image_set, rows)
            noise = self.preparation.noise.get(image_set)
            ready = noise is not None and noise.noise_range == "tensor"
            ids = iter(rows["id"])
            for name, whole in self._shards(network, mine, self.loading.batches(source, self._pin), ready):
                faults = {key.removeprefix(_FAULTS): whole.pop(key) for key in [*whole] if key.startswith(_FAULTS)}
                self._check.refuse(faults, [str(next(ids)) for _ in range(_rows(whole))], image_set)
                yield name, whole

    def _shards(
        self, network: nn.Module, parts: Sequence[Part], batches: Iterable[torch.Tensor], ready: bool
    ) -> Iterator[tuple[str, Tensors]]:
        """Cut the stream of batches into shards; a batch may end one and begin the next."""
        held: list[Tensors] = []
        queue = list(parts)
        for images in batches:
            block: Tensors = {}
            for name, tensor in self._batch(network, images, ready).items():
                block[name], block[_FAULTS + name] = self._check.keep(name.rsplit("/", 1)[1], tensor)
            held.append(block)
            while queue and sum(_rows(block) for block in held) >= queue[0].items:
                part = queue.pop(0)
                whole = {name: torch.cat([block[name] for block in held]) for name in held[0]}
                yield part.name, {name: tensor[: part.items] for name, tensor in whole.items()}
                held = [{name: tensor[part.items :] for name, tensor in whole.items()}]

    def _batch(self, network: nn.Module, images: torch.Tensor, ready: bool) -> Tensors:
        passes = self.forward.batch(network, self.preprocessing, images, ready)
        direct = [each for each in self.fields if each in ForwardPass._fields]
        block = {f"{name}/{each}": getattr(one, each) for name, one in passes.items() for each in direct}
        if "posterior_variance" in self.fields:
            block |= self._variances(network, passes)
        if "odin_logits" not in self.fields:
            return block
        assert isinstance(network, SharedBackbone | Separate)
        with self.forward.arithmetic():
            inputs = self.forward.inputs(self.preprocessing, images, ready)
            for name in passes:
                block[f"{name}/odin_logits"] = perturbed_logits(
                    network.logits_of(name), inputs, self.odin.temperature, self.odin.epsilon
                )
        return block

    @torch.inference_mode()
    def _variances(self, network: nn.Module, passes: Mapping[str, ForwardPass]) -> Tensors:
        """Of the sigmoid posteriors over dropout masks; only what lies behind the dropout is repeated."""
        assert isinstance(network, MultiLabelNetworks)
        found = {}
        for name, one in passes.items():
            assert one.features is not None
            logits = network.classifier(name).head.dropout_passes(one.features, self.dropout.passes, self.dropout.seed)
            found[f"{name}/posterior_variance"] = posterior_variance(logits, "sigmoid")
        return found

    def _images(self, image_set: str, parts: Sequence[Part]) -> pd.DataFrame:
        rows = self.manifest[self.manifest["image_set"] == image_set]
        starts = [int(part.name.rsplit("-", 1)[1]) * self.shard_images for part in parts]
        return pd.concat([rows.iloc[s : s + part.items] for s, part in zip(starts, parts, strict=True)])

    def _source(self, image_set: str, rows: pd.DataFrame) -> ImageSource:
        if image_set in self.preparation.noise:
            noise = self.preparation.noise[image_set].noise()
            return NoiseImages(noise, rows["number"].tolist(), self.preprocessing)
        folders = rows["data_set"].map(self.preparation.folders)
        return Photographs(recorded_files(rows, folders), self.preprocessing)

    @property
    def _check(self) -> OutputCheck:
        return OutputCheck(self.setting, self.network, self.forward.precision, self.stored)

    @property
    def _pin(self) -> bool:
        return self.forward.torch_device.type == "cuda"


def stored_bytes(images: Mapping[str, int], widths: Sequence[int], stored: torch.dtype) -> dict[str, int]:
    """Size of the stored outputs of each image set.

    Args:
        images: Image set to its number of images.
        widths: Numbers per image of each field that is kept, over all classifiers.
        stored: Their type.

    >>> stored_bytes({"fit": 104_500, "test": 418_000}, [11_221], torch.float16)
    {'fit': 2345189000, 'test': 9380756000}
    """
    return {name: count * sum(widths) * stored.itemsize for name, count in images.items()}


def image_set_of(part: str) -> str:
    """The image set that a shard belongs to.

    >>> image_set_of("test-00003")
    'test'
    """
    return part.rsplit("-", 1)[0]


def fields_for(detectors: Detectors, made: frozenset[str] = IMAGES[SHARED], network: str = SHARED) -> list[str]:
    """Which of the outputs that a network makes the detectors read; logits are always kept, for the accuracy."""
    built = [build_detector(name, **options) for name, options in detectors.items() if isinstance(options, dict)]
    return sorted(made & frozenset({"logits"}).union(*(one.needs for one in built if one.network == network)))


def image_fields(detectors: Detectors, training: str, network: str = SHARED) -> list[str]:
    """What a network for whole images stores for the detectors that are on.

    The classifiers also store their features where other networks are heads on the same ones.
    """
    fields = fields_for(detectors, IMAGES[network], network)
    if network == SHARED and any(on_features(detectors, training, own) for own in IMAGES if own != SHARED):
        return sorted({*fields, "features"})
    return fields


def on_features(detectors: Mapping[str, Any], training: str, network: str) -> bool:
    """Whether a network is read by a detector, and only by those for which its heads need but the stored features.

    The rotation loss needs the images, to turn them.
    """
    on = {name: options for name, options in detectors.items() if options is not False}
    if training != "head" or not any(detector_class(name).network == network for name in on):
        return False
    return "rotation_loss" not in fields_for(on, IMAGES[network], network)


def product_name(identity: IdentitySpec, owner: str, product: str) -> str:
    """Name in the catalog of a product of the setting, or of the detector or network that owns it."""
    return ".".join(part for part in (identity.setting, owner, product) if part)


def refuse_unmade(detector: Detector, made: frozenset[str], network: str = SHARED) -> None:
    """Make sure that a network leaves what a detector reads.

    Raises:
        NotApplicableError: It does not, or is not the network that the detector reads.
    """
    unmade = sorted(detector.needs - made)
    if unmade:
        raise NotApplicableError(f"no pipeline of this setting makes its {', '.join(unmade)} yet")
    if detector.network != network:
        raise NotApplicableError(f"no pipeline of this setting trains its network ({detector.network}) yet")


def loading_of(runtime: RuntimeSpec) -> Loading:
    """How images reach the network."""
    usual = 16 if Forward(runtime.device).torch_device.type == "cpu" else 64
    return Loading(runtime.batch_images or usual, runtime.workers)


def _rows(block: Tensors) -> int:
    return len(next(iter(block.values())))
