"""Forward passes over image sets: what they leave, in shards. One pass feeds every detector that reads a network."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby, islice, product
from typing import Any

import pandas as pd
import torch
from torch.utils.data import ConcatDataset, Dataset

from scaling_ood.detectors import Given, LinearHead, Need, field_of, name_of
from scaling_ood.images import (
    Loading,
    NoiseImages,
    Orientation,
    Photographs,
    Preprocessing,
    RecordedFile,
    as_decoded,
    read_image,
)
from scaling_ood.models import Forward, Network, OutputCheck, encode_all
from scaling_ood.models.segmentation import STRIDE
from scaling_ood.models.transfers import passed_through
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
        """The networks on the device, ready for passes: built once for all calls in a process.

        Raises:
            ValueError: The device is not there, or lacks the precision.
        """
        self.forward.refuse_missing_tf32()
        placed = {name: self.forward.place(network) for name, network in self.networks().items()}
        return {name: network.requires_grad_(False) for name, network in placed.items()}  # type: ignore[misc]

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: the networks are built there."""
        return {name: value for name, value in vars(self).items() if name not in ("placed", "_sets")}

    def kept(self, networks: Mapping[str, Network], inputs: torch.Tensor, seeds: Sequence[int] = (0,)) -> Tensors:
        """What is kept of one batch, on the device: `<network>/<field>` to a tensor (N, ...), and its faults beside."""
        with self.forward.arithmetic():
            with torch.inference_mode():
                encoded = encode_all(networks, inputs)
            return self.checked(made(networks, inputs, encoded, self.needs, seeds))

    def checked(self, made: Tensors) -> Tensors:
        """What was made, in the types that are stored, and beside it what faults it has."""
        block: Tensors = {}
        for name, tensor in made.items():
            field = name.split("/", 1)[1]
            block[name], block[_FAULTS + name] = self.check.keep(field, tensor, self.dtypes[field])
        return block

    def faultless(self, block: Tensors, ids: Sequence[str], image_set: str) -> Tensors:
        """The same without what tells faults.

        Raises:
            NetworkOutputError: There is one.
        """
        faults = {name.removeprefix(_FAULTS): found for name, found in block.items() if name.startswith(_FAULTS)}
        self.check.refuse(faults, ids, image_set)
        return {name: tensor for name, tensor in block.items() if not name.startswith(_FAULTS)}

    def dtype_of(self, need: str | Need) -> torch.dtype:
        """Type in which a need is kept."""
        return torch.float32 if isinstance(need, Need) and need.float32 else self.stored

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """The same by field."""
        return {field_of(need): self.dtype_of(need) for need in self.needs}

    def rows_of(self, part: Part) -> pd.DataFrame:
        """Rows of the manifest whose outputs a shard holds."""
        start = int(part.name.rsplit("-", 1)[1]) * self.shard_images
        return self._sets[image_set_of(part.name)].iloc[start : start + part.items]

    @cached_property
    def _sets(self) -> dict[str, pd.DataFrame]:
        """Rows of each image set: not looked for anew for each shard."""
        return {str(name): rows for name, rows in self.manifest.rows.groupby("image_set", sort=False)}


def made(
    networks: Mapping[str, Network],
    inputs: torch.Tensor,
    encoded: Mapping[str, torch.Tensor],
    needs: Sequence[str | Need],
    seeds: Sequence[int] = (0,),
) -> Tensors:
    """What the needs are for one batch: `<network>/<field>` to a tensor (N, ...).

    Args:
        networks: By name.
        inputs: (N, 3, H, W), normalised.
        encoded: What each network's `encode` made of them.
        needs: What is made.
        seeds: Of what chance there is: one of the batch, or one of each image, which then has needs of its own.
    """
    kept: Tensors = {}
    for name, network in networks.items():
        with torch.inference_mode():
            plain = network.decode(encoded[name])
        given = [Given(network, inputs, encoded[name], plain, seeds[0])]
        given = given if len(seeds) == 1 else [_image(given[0], number, seed) for number, seed in enumerate(seeds)]
        with torch.no_grad():
            for need in needs:
                tensors = [need.make(each) for each in given] if isinstance(need, Need) else [plain[need]]
                kept[f"{name}/{field_of(need)}"] = (torch.cat(tensors) if len(tensors) > 1 else tensors[0]).detach()
    return kept


def _image(given: Given, number: int, seed: int) -> Given:
    """One image of a batch, as a batch."""
    one = slice(number, number + 1)
    outputs = {name: tensor[one] for name, tensor in given.outputs.items()}
    return replace(given, inputs=given.inputs[one], encoded=given.encoded[one], outputs=outputs, seed=seed)


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
        if not shards:
            return
        device, rows = self.forward.torch_device, {part.name: self.rows_of(part) for part in shards}
        sources: ConcatDataset[torch.Tensor] = ConcatDataset(
            [self._source(image_set_of(name), own) for name, own in rows.items()]
        )
        loader = self.loading.batches(sources, device.type == "cuda", [part.items for part in shards], as_decoded)
        batches = {part.name: len(self.loading.cut([part.items])) for part in shards}
        ready = (self._ready(name) for name, count in batches.items() for _ in range(count))
        room = self._room(device)
        blocks = passed_through(device, zip(ready, loader, strict=True), partial(self._block, networks, room))
        for part in shards:
            held = [block for _, block in islice(blocks, batches[part.name])]
            whole = {name: torch.cat([block[name] for block in held]) for name in held[0]}
            yield part.name, self.faultless(whole, rows[part.name]["id"].tolist(), image_set_of(part.name))

    def _room(self, device: torch.device) -> torch.Tensor | None:
        """For the network's input, on a processor: new memory for each batch would cost more than what fills it."""
        if device.type != "cpu":
            return None
        size, order = self.preprocessing.crop_px, self.forward.memory_format
        return torch.empty(self.loading.batch_images, 3, size, size, memory_format=order)

    def _block(
        self, networks: Mapping[str, Network], room: torch.Tensor | None, ready: bool, images: torch.Tensor
    ) -> Tensors:
        kept = self.kept(networks, self.forward.inputs(self.preprocessing, images, ready, room))
        return {name: tensor.clone() if _lies_in(tensor, room) else tensor for name, tensor in kept.items()}

    def _ready(self, part: str) -> bool:
        """Whether its images are network input already."""
        noise = self.manifest.preparation.noise.get(image_set_of(part))
        return noise is not None and noise.noise_range == "tensor"

    def _source(self, image_set: str, rows: pd.DataFrame) -> NoiseImages | Photographs:
        if noise := self.manifest.preparation.noise.get(image_set):
            return NoiseImages(noise.noise(), rows["number"].tolist(), self.preprocessing)
        return Photographs(self.manifest.files(rows), self.preprocessing)


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
        if any(part.name == HEADS for part in missing):
            yield HEADS, _last_layers(networks)
        shards = [part for part in missing if part.name != HEADS]
        stored = ((part, self.outputs.read(part.name)[self.field].float()) for part in shards)
        for part, block in passed_through(self.forward.torch_device, stored, partial(self._block, networks)):
            yield part.name, self.faultless(block, self.rows_of(part)["id"].tolist(), image_set_of(part.name))

    def _block(self, networks: Mapping[str, Network], _: Part, features: torch.Tensor) -> Tensors:
        with self.forward.arithmetic():
            return self.checked(made(networks, features, dict.fromkeys(networks, features), self.needs))


@dataclass(frozen=True)
class ScenePass(Pass):
    """A pass over scenes, at each of several scales; successive scenes of one size go together.

    Attributes:
        preprocessing: Of the network's weights; scenes are scaled, never cropped.
        edges: Lengths of the shorter side; None: as it is.
        longest: No side is scaled beyond.
        loading: Batches and workers.
        multiple: To whose multiples sides are stretched.
        only: (H, W) of the only images that the network takes.
    """

    preprocessing: Preprocessing
    edges: Sequence[int | None]
    longest: int
    loading: Loading
    multiple: int = STRIDE
    only: tuple[int, int] | None = None

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """Fields of each scene of the missing shards: `<number>/<network>/<field>/<scale>`, on the CPU.

        What chance there is depends on the scene's name alone, so that shards and batches do not change it.

        Raises:
            NetworkOutputError: A network gives NaN for some scenes; no shard is stored that has one.
        """
        networks, device = self.placed, self.forward.torch_device
        rows = {part.name: self.rows_of(part) for part in missing}
        runs = {name: _runs(own) for name, own in rows.items()}
        batches = {name: self.loading.cut(own) for name, own in runs.items()}
        files = [file for own in rows.values() for file in self.manifest.files(own)]
        orientation = self.manifest.preparation.orientation
        scenes = ScenePixels(files, self.edges, self.longest, orientation, self.multiple, self.only)
        loader = self.loading.batches(scenes, device.type == "cuda", [run for own in runs.values() for run in own])
        named = ([*rows[name]["path"].iloc[batch.start : batch.stop]] for name, own in batches.items() for batch in own)
        inputs = ((paths, pixels) for paths, scales in zip(named, loader, strict=True) for pixels in scales)
        blocks = passed_through(device, inputs, partial(self._block, networks))
        for part in missing:
            tensors: Tensors = {}
            faults: dict[str, list[torch.Tensor]] = {}
            for batch, scale in product(batches[part.name], range(len(self.edges))):
                for name, value in next(blocks)[1].items():
                    if name.startswith(_FAULTS):
                        faults.setdefault(f"{name}/{scale}", []).append(value)
                        continue
                    # Each with memory of its own, as safetensors wants it.
                    each = [value] if len(batch) == 1 else [one[None].clone() for one in value]
                    tensors |= {f"{number:05d}/{name}/{scale}": one for number, one in zip(batch, each, strict=True)}
            joined = {name: torch.cat(found) for name, found in faults.items()}
            yield part.name, self.faultless(tensors | joined, rows[part.name]["path"].tolist(), image_set_of(part.name))

    def _block(self, networks: Mapping[str, Network], paths: Sequence[str], pixels: torch.Tensor) -> Tensors:
        seeds = [zlib.crc32(f"/{path}".encode()) for path in paths]
        return self.kept(networks, self.preprocessing.normalise(pixels), seeds)


def _runs(rows: pd.DataFrame) -> list[int]:
    """How many successive scenes have one size, and so go through a network together."""
    return [len([*run]) for _, run in groupby(zip(rows["height"], rows["width"], strict=True))]


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


def _lies_in(tensor: torch.Tensor, room: torch.Tensor | None) -> bool:
    return room is not None and tensor.untyped_storage().data_ptr() == room.untyped_storage().data_ptr()


def image_set_of(part: str) -> str:
    """The image set that a shard belongs to.

    >>> image_set_of("test-00003")
    'test'
    """
    return part.rsplit("-", 1)[0]


def of_sets(parts: Iterable[Part], image_sets: Collection[str], *, heads: bool) -> list[Part]:
    """The shards of some image sets, and the heads where they are wanted."""
    return [part for part in parts if (heads if part.name == HEADS else image_set_of(part.name) in image_sets)]


def loading_of(runtime: RuntimeSpec) -> Loading:
    """How images reach the network."""
    return Loading(runtime.batch_images or (64 if _on_gpu(runtime) else 16), runtime.workers)


def scene_loading_of(runtime: RuntimeSpec) -> Loading:
    """How scenes do; by default one by one on a processor, where a batch is no faster and may round otherwise."""
    return Loading(runtime.batch_images or (4 if _on_gpu(runtime) else 1), runtime.workers)


def _on_gpu(runtime: RuntimeSpec) -> bool:
    return Forward(runtime.device).torch_device.type != "cpu"


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
