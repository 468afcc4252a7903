"""Forward passes over image sets: what they leave, in shards. One pass feeds every detector that reads a network."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from scaling_ood.detectors import Given, LinearHead, Need, field_of, name_of
from scaling_ood.images import (
    ImageSource,
    Loading,
    NoiseImages,
    Orientation,
    Photographs,
    Preprocessing,
    RecordedFile,
    read_image,
)
from scaling_ood.models import Forward, Network, OutputCheck, encode_all
from scaling_ood.models.segmentation import STRIDE
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.products.plans import Part
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredShards, Tensors
from scaling_ood.training.scenes import network_pixels
from scaling_ood.wording import in_bytes

_logger = logging.getLogger(__name__)

HEADS = "heads"
"""Part of the outputs that holds each network's last layer, for detectors that change the features before it."""

_FAULTS = "faults:"
"""Begins the names of what was found in the outputs, beside them until a shard is whole."""

Networks = Callable[[], Mapping[str, Network]]
"""Builds the networks of all seeds, by name such as `seed0`; picklable."""


@dataclass(frozen=True)
class Pass:
    """What all passes have in common.

    Attributes:
        manifest: All images.
        networks: Builds what is passed over them.
        needs: What to keep.
        forward: Device, precision, memory order.
        stored: Type of what is kept, but for needs that are single precision always.
        shard_images: Images per shard.
        setting: Whose pass it is, for messages.
        words: Which network, in words.
    """

    manifest: Manifest
    networks: Networks
    needs: Sequence[str | Need]
    forward: Forward
    stored: torch.dtype
    shard_images: int
    setting: str
    words: str

    def parts(self, image_sets: Iterable[str]) -> list[Part]:
        """Shards of the image sets, such as `test-00003`, in the order of the manifest."""
        parts = []
        for name in image_sets:
            images = self.manifest.preparation.images.get(name, 0)
            for number, start in enumerate(range(0, images, self.shard_images)):
                parts.append(Part(f"{name}-{number:05d}", min(self.shard_images, images - start)))
        return parts

    def about(self) -> dict[str, Any]:
        """What is recorded of the pass."""
        return {
            "device": self.forward.device_name,
            "precision": self.forward.precision,
            "stored": str(self.stored).removeprefix("torch."),
            "torch": torch.__version__,
        }

    @property
    def check(self) -> OutputCheck:
        """What is refused."""
        return OutputCheck(self.setting, self.words, self.forward.precision, self.stored)

    @cached_property
    def placed(self) -> dict[str, Network]:
        """The networks on the device, ready for passes: built once for all calls in a process."""
        placed = {name: self.forward.place(network) for name, network in self.networks().items()}
        return {name: network.requires_grad_(False) for name, network in placed.items()}  # type: ignore[misc]

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: the networks are built there."""
        return {name: value for name, value in vars(self).items() if name != "placed"}

    def kept(self, networks: Mapping[str, Network], inputs: torch.Tensor, seed: int) -> Tensors:
        """What is kept of one batch: `<network>/<field>` to a tensor (N, ...) on the device."""
        with self.forward.arithmetic():
            with torch.inference_mode():
                encoded = encode_all(networks, inputs)
            return made(networks, inputs, encoded, self.needs, seed)

    def dtype_of(self, need: str | Need) -> torch.dtype:
        """Type in which a need is kept."""
        return torch.float32 if isinstance(need, Need) and need.float32 else self.stored

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """The same by field."""
        return {field_of(need): self.dtype_of(need) for need in self.needs}

    def rows_of(self, part: Part) -> Any:
        """Rows of the manifest whose outputs a shard holds."""
        start = int(part.name.rsplit("-", 1)[1]) * self.shard_images
        return self.manifest.of(image_set_of(part.name)).iloc[start : start + part.items]


def made(
    networks: Mapping[str, Network],
    inputs: torch.Tensor,
    encoded: Mapping[str, torch.Tensor],
    needs: Sequence[str | Need],
    seed: int = 0,
) -> Tensors:
    """What the needs are for one batch: `<network>/<field>` to a tensor (N, ...)."""
    kept: Tensors = {}
    for name, network in networks.items():
        with torch.inference_mode():
            plain = network.decode(encoded[name])
        given = Given(network, inputs, encoded[name], plain, seed)
        with torch.no_grad():
            for need in needs:
                tensor = need.make(given) if isinstance(need, Need) else plain[need]
                kept[f"{name}/{field_of(need)}"] = tensor.detach()
    return kept


@dataclass(frozen=True)
class ImagePass(Pass):
    """A pass over whole images, batch by batch.

    Attributes:
        preprocessing: Of the network's weights.
        loading: Batches and workers.
    """

    preprocessing: Preprocessing
    loading: Loading

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Outputs of the missing shards: `<network>/<field>` to a tensor (N, ...) of the stored type, on the CPU.

        Raises:
            NetworkOutputError: The network gives NaN for some images; no shard is stored that has one.
        """
        networks = self.placed
        if any(part.name == HEADS for part in missing):
            yield HEADS, _last_layers(networks)
        shards = [part for part in missing if part.name != HEADS]
        for image_set in dict.fromkeys(image_set_of(part.name) for part in shards):
            mine = [part for part in shards if image_set_of(part.name) == image_set]
            source, ids = self._source(image_set, mine)
            noise = self.manifest.preparation.noise.get(image_set)
            ready = noise is not None and noise.noise_range == "tensor"
            pin = self.forward.torch_device.type == "cuda"
            batches = self.loading.batches(source, pin, [part.items for part in mine])
            for name, whole in self._shards(networks, mine, batches, ready):
                faults = {key.removeprefix(_FAULTS): whole.pop(key) for key in [*whole] if key.startswith(_FAULTS)}
                self.check.refuse(faults, [str(next(ids)) for _ in range(_rows(whole))], image_set)
                yield name, whole

    def _shards(
        self, networks: Mapping[str, Network], parts: Sequence[Part], batches: Iterable[torch.Tensor], ready: bool
    ) -> Iterator[tuple[str, Tensors]]:
        """Join the batches of each shard."""
        held: list[Tensors] = []
        queue, dtypes = list(parts), self.dtypes
        for images in batches:
            block: Tensors = {}
            inputs = self.forward.inputs(self.preprocessing, images, ready)
            for name, tensor in self.kept(networks, inputs, 0).items():
                field = name.split("/", 1)[1]
                block[name], block[_FAULTS + name] = self.check.keep(field, tensor, dtypes[field])
            held.append(block)
            if sum(_rows(block) for block in held) == queue[0].items:
                yield queue.pop(0).name, {name: torch.cat([block[name] for block in held]) for name in held[0]}
                held = []

    def _source(self, image_set: str, parts: Sequence[Part]) -> tuple[ImageSource, Iterator[str]]:
        rows = [self.rows_of(part) for part in parts]
        ids = iter([name for own in rows for name in own["id"]])
        if noise := self.manifest.preparation.noise.get(image_set):
            numbers = [number for own in rows for number in own["number"].tolist()]
            return NoiseImages(noise.noise(), numbers, self.preprocessing), ids
        files = [file for own in rows for file in self.manifest.files(own)]
        return Photographs(files, self.preprocessing), ids


@dataclass(frozen=True)
class HeadPass(Pass):
    """What heads make of the features that a shared frozen backbone has left: no image is read again.

    Attributes:
        outputs: With these features.
        field: Which of its tensors they are.
    """

    outputs: StoredShards
    field: str

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """As `ImagePass`."""
        networks = self.placed
        for part in missing:
            if part.name == HEADS:
                yield HEADS, _last_layers(networks)
                continue
            features = self.outputs.read(part.name)[self.field].float().to(self.forward.torch_device)
            encoded = dict.fromkeys(networks, features)
            with self.forward.arithmetic():
                found = made(networks, features, encoded, self.needs).items()
            dtypes = self.dtypes
            kept = {name: self.check.keep(f := name.split("/", 1)[1], each, dtypes[f]) for name, each in found}
            ids = self.rows_of(part)["id"].tolist()
            self.check.refuse({name: faults for name, (_, faults) in kept.items()}, ids, image_set_of(part.name))
            yield part.name, {name: tensor for name, (tensor, _) in kept.items()}


@dataclass(frozen=True)
class ScenePass(Pass):
    """A pass over scenes, one by one because their sizes differ, at each of several scales.

    Attributes:
        preprocessing: Of the network's weights; scenes are scaled, never cropped.
        edges: Lengths of the shorter side; None: as it is.
        longest: No side is scaled beyond.
        workers: Processes that decode.
        multiple: To whose multiples sides are stretched.
        only: (H, W) of the only images that the network takes.
    """

    preprocessing: Preprocessing
    edges: Sequence[int | None]
    longest: int
    workers: int
    multiple: int = STRIDE
    only: tuple[int, int] | None = None

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Fields of each scene of the missing shards: `<number>/<network>/<field>/<scale>`, on the CPU.

        What chance there is depends on the scene's name alone, so that shards do not change it.

        Raises:
            NetworkOutputError: A network gives NaN for some scenes; no shard is stored that has one.
        """
        networks, dtypes = self.placed, self.dtypes
        rows = {part.name: self.rows_of(part) for part in missing}
        files = {name: self.manifest.files(own) for name, own in rows.items()}
        orientation = self.manifest.preparation.orientation
        every = [file for own in files.values() for file in own]
        scenes = ScenePixels(every, self.edges, self.longest, orientation, self.multiple, self.only)
        loader = iter(DataLoader(scenes, batch_size=None, num_workers=min(self.workers, len(scenes))))
        for part in missing:
            tensors: Tensors = {}
            faults: dict[str, list[torch.Tensor]] = {}
            names = rows[part.name]["path"].tolist()
            for number, path in enumerate(names):
                for scale, pixels in enumerate(next(loader)):
                    inputs = self.preprocessing.normalise(pixels[None].to(self.forward.torch_device))
                    for name, value in self.kept(networks, inputs, zlib.crc32(f"/{path}".encode())).items():
                        field = name.split("/", 1)[1]
                        kept, found = self.check.keep(field, value, dtypes[field])
                        tensors[f"{number:05d}/{name}/{scale}"] = kept
                        faults.setdefault(f"{name}/{scale}", []).append(found)
            joined = {name: torch.cat(found) for name, found in faults.items()}
            self.check.refuse(joined, names, image_set_of(part.name))
            yield part.name, tensors


@dataclass(frozen=True)
class ScenePixels(Dataset[list[torch.Tensor]]):
    """Scenes as a network is tested on them, at each scale: uint8 (3, H, W)."""

    files: Sequence[RecordedFile]
    edges: Sequence[int | None]
    longest: int
    orientation: Orientation
    multiple: int = STRIDE
    only: tuple[int, int] | None = None

    def __len__(self) -> int:
        """How many scenes there are."""
        return len(self.files)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        """One scene."""
        image = read_image(self.files[index], self.orientation)
        return [network_pixels(image, edge, self.longest, self.multiple, self.only) for edge in self.edges]


def image_set_of(part: str) -> str:
    """The image set that a shard belongs to.

    >>> image_set_of("test-00003")
    'test'
    """
    return part.rsplit("-", 1)[0]


def loading_of(runtime: RuntimeSpec) -> Loading:
    """How images reach the network."""
    usual = 16 if Forward(runtime.device).torch_device.type == "cpu" else 64
    return Loading(runtime.batch_images or usual, runtime.workers)


def stored_bytes(images: Mapping[str, int], widths: Sequence[int], stored: torch.dtype) -> dict[str, int]:
    """Size of the stored outputs of each image set.

    Args:
        images: Image set to its number of images.
        widths: Numbers per image of each field that is kept, over all networks.
        stored: Their type.

    >>> stored_bytes({"fit": 104_500, "test": 418_000}, [11_221], torch.float16)
    {'fit': 2345189000, 'test': 9380756000}
    """
    return {name: count * sum(widths) * stored.itemsize for name, count in images.items()}


def tell_disk_use(
    images: Mapping[str, int], sizes: Mapping[str, int], needs: Iterable[str | Need], stored: torch.dtype
) -> None:
    """Say what the outputs will take, before the first image is read.

    Args:
        images: Image set to its number of images.
        sizes: Image set to the bytes of its outputs.
        needs: What is kept.
        stored: Its type.
    """
    for name, size in sizes.items():
        _logger.info("Outputs of %s: %s images, %s", name, f"{images[name]:,}", in_bytes(size))
    too_fine = {each.name for each in needs if isinstance(each, Need) and each.float32 and stored != torch.float32}
    _logger.info(
        "Outputs take %s on disk when all are there: %s (%s)",
        in_bytes(sum(sizes.values())),
        ", ".join(f"{name} (float32)" if name in too_fine else name for name in sorted(map(name_of, needs))),
        str(stored).removeprefix("torch."),
    )


def _last_layers(networks: Mapping[str, Network]) -> Tensors:
    layers = {name: network.last_layer for name, network in networks.items()}
    heads = {name: LinearHead.of(layer)._asdict() for name, layer in layers.items() if layer is not None}
    return {f"{name}/{kind}": tensor for name, layer in heads.items() for kind, tensor in layer.items()}


def _rows(block: Tensors) -> int:
    return len(next(iter(block.values())))
