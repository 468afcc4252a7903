"""Scenes and their labels: read, scaled, flipped by chance, and cut to the network's stride.

Chance comes from the seed, the epoch and the number of the batch alone, never from a process's own generator: whatever
the number of workers, and wherever a training is resumed, an epoch sees the same tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from scaling_ood.cores import Workers, workers_of
from scaling_ood.images.exif import Orientation
from scaling_ood.images.loading import read_image
from scaling_ood.images.opening import to_rgb
from scaling_ood.images.recorded import RecordedFile, path_of
from scaling_ood.images.scenes import VOID, LabelMap, read_labels
from scaling_ood.images.transforms import Preprocessing
from scaling_ood.models.segmentation import STRIDE
from scaling_ood.training.ranks import ALONE, Ranks, Share
from scaling_ood.training.sampling import Sampling

LABEL_STRIDES = (1, 2, 4, STRIDE)
_SCALE, _FLIP = 1, 2

Item = TypeVar("Item")


class SceneError(ValueError):
    """Scenes that cannot be trained on: labels that fit neither image nor network, or none at all."""


class LabelledScenes(Protocol):
    """Gives scenes by their index."""

    def __len__(self) -> int:
        """How many scenes there are."""
        ...

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """RGB image of size (W, H), and train ids (H, W) with `VOID`."""
        ...


@dataclass(frozen=True)
class SceneFiles:
    """Image files and label files.

    Attributes:
        images: Paths.
        labels: Paths, in the same order.
        label_map: From the ids in the label files to train ids.
        orientation: Of the image files; label files are taken as they are.
    """

    images: Sequence[str | RecordedFile]
    labels: Sequence[str | RecordedFile]
    label_map: LabelMap
    orientation: Orientation = "stored"

    def __len__(self) -> int:
        """How many scenes there are."""
        return len(self.images)

    def scene(self, index: int) -> tuple[Image.Image, NDArray[np.uint8]]:
        """Decoded image and labels.

        Raises:
            SceneError: Their sizes differ.
            UnreadableImageError: The image cannot be read any more.
            UnreadableLabelError: Nor can the labels, or they are no ids.
            UnknownLabelError: An id is not in the label map.
            ChangedFileError: One of them is not what was recorded.
        """
        label_path = path_of(self.labels[index])
        image = read_image(self.images[index], self.orientation)
        labels = self.label_map.apply(read_labels(self.labels[index]), label_path)
        if labels.shape[::-1] != image.size:
            raise SceneError(f"{label_path} is {labels.shape[::-1]}, its image {image.size} (width, height)")
        return image, labels


@dataclass(frozen=True)
class Augmentation:
    """What chance does to a training scene.

    Attributes:
        short_edges: Lengths of the shorter side in pixels, of which each batch draws one; empty keeps all sizes.
        longest: The longer side is never scaled beyond, in pixels.
        flips: Share of the scenes that are mirrored.
    """

    short_edges: tuple[int, ...] = ()
    longest: int = 1000
    flips: float = 0.5


@dataclass(frozen=True)
class SceneSets:
    """The scenes of a training.

    Attributes:
        train: Scenes to learn from.
        validation: Scenes to choose the best epoch on.
        preprocessing: Normalisation of the network's input.
        augmentation: Of the training scenes.
        evaluation_edge: Length that validation scenes' shorter side is scaled to, in pixels; None keeps their size.
        workers: Processes that decode; changes speed, never results.
        label_stride: 1, 2, 4 or 8: of so many rows and columns of a training scene one has labels in its batch. 8, the
            networks' own stride, is what the released code takes; it misses most objects of a few pixels.
    """

    train: LabelledScenes
    validation: LabelledScenes
    preprocessing: Preprocessing
    augmentation: Augmentation = Augmentation()
    evaluation_edge: int | None = None
    workers: Workers = 0
    label_stride: int = STRIDE

    def __post_init__(self) -> None:
        """Refuse empty sets, and labels that fit no pixel, before a training starts, not after its first epoch."""
        if self.label_stride not in LABEL_STRIDES:
            raise ValueError(
                f"label_stride {self.label_stride}: it must be one of {', '.join(map(str, LABEL_STRIDES))}"
            )
        empty = [
            name for name, source in (("training", self.train), ("validation", self.validation)) if not len(source)
        ]
        if empty:
            raise SceneError(f"there are no {' and no '.join(empty)} scenes")

    def training_batches(
        self, sampling: Sampling, epoch: int, share: Share = ALONE.share, groups: int = 1
    ) -> DataLoader[TrainingBatch]:
        """The batches of one epoch, in order, so many of which make a step; of a share of each step."""
        stride = self.label_stride
        batches = TrainingBatches(self.train, self.augmentation, sampling, epoch, self._fill, stride, share, groups)
        return _loader(batches, self.workers)

    def of_one_size(self, batches: Sequence[TrainingBatch], ranks: Ranks) -> list[TrainingBatch]:
        """Shares of batches, padded to the size that the whole batches have."""
        sizes = iter(ranks.highest([side for batch in batches for side in batch.pixels.shape[2:]]))
        return [
            self._padded(batch, int(height), int(width))
            for batch, height, width in zip(batches, sizes, sizes, strict=True)
        ]

    def _padded(self, batch: TrainingBatch, height: int, width: int) -> TrainingBatch:
        if batch.pixels.shape[2:] == (height, width):
            return batch
        count, stride = len(batch.pixels), self.label_stride
        pixels = torch.tensor(self._fill, dtype=torch.uint8).view(1, 3, 1, 1).repeat(count, 1, height, width)
        labels = torch.full((count, height // stride, width // stride), VOID, dtype=torch.uint8)
        for padded, own in ((pixels, batch.pixels), (labels, batch.labels)):
            padded[..., : own.shape[-2], : own.shape[-1]] = own
        return TrainingBatch(pixels, labels)

    @property
    def _fill(self) -> tuple[int, ...]:
        """Colour of the padding."""
        return tuple(round(255 * value) for value in self.preprocessing.mean)

    def validation_scenes(self) -> DataLoader[EvaluationScene]:
        """The validation scenes, in order, one by one because their sizes may differ."""
        return _loader(EvaluationScenes(self.validation, self.evaluation_edge, self.augmentation.longest), self.workers)


class TrainingBatch(NamedTuple):
    """Pixels (N, 3, H, W), uint8, and train ids (N, H/s, W/s), uint8 with `VOID`; H and W are multiples of 8.

    s is the label stride, see `SceneSets`.
    """

    pixels: torch.Tensor
    labels: torch.Tensor


class EvaluationScene(NamedTuple):
    """Pixels (1, 3, H, W), uint8, scaled, and train ids (h, w), uint8 with `VOID`, of the labels' own size."""

    pixels: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class TrainingBatches(Dataset[TrainingBatch]):
    """The batches of one epoch, or a share of each step's.

    Scenes of different sizes are padded with `fill`, their labels with `VOID`.
    """

    source: LabelledScenes
    augmentation: Augmentation
    sampling: Sampling
    epoch: int
    fill: tuple[int, ...]
    label_stride: int = STRIDE
    share: Share = ALONE.share
    groups: int = 1

    def __len__(self) -> int:
        """How many batches there are."""
        return self.sampling.per_epoch(len(self.source))

    def __getitem__(self, step: int) -> TrainingBatch:
        """One batch; it depends on the seed, the epoch and the step alone."""
        if not 0 <= step < len(self):
            raise IndexError(step)
        indices = self.sampling.order(len(self.source), self.epoch)[step]
        edges = self.augmentation.short_edges
        edge = int(self.sampling.chance(_SCALE, self.epoch, step).choice(edges)) if edges else None
        mirrored = self.sampling.chance(_FLIP, self.epoch, step).random(len(indices)) < self.augmentation.flips
        own = self.share.of(len(indices), self.groups, step % self.groups)
        drawn = zip(indices[own], mirrored[own], strict=True)
        scenes = [self._scene(int(index), edge, bool(flip)) for index, flip in drawn]
        return self._joined(scenes)

    def _joined(self, scenes: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> TrainingBatch:
        height, width = (_multiple(max((labels.shape[side] for _, labels in scenes), default=1)) for side in (0, 1))
        pixels = np.empty((len(scenes), height, width, 3), np.uint8)
        pixels[:] = self.fill
        ids = np.full((len(scenes), height, width), VOID, np.uint8)
        for place, (image, labels) in enumerate(scenes):
            pixels[place, : len(image), : image.shape[1]] = image
            ids[place, : len(labels), : labels.shape[1]] = labels
        stride, centre = self.label_stride, self.label_stride // 2
        return TrainingBatch(
            torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(),  # (N, 3, H, W)
            torch.from_numpy(ids[:, centre::stride, centre::stride].copy()),  # (N, H/s, W/s)
        )

    def _scene(self, index: int, edge: int | None, flip: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image, labels = self.source.scene(index)
        size = scaled_size(image.size, edge, self.augmentation.longest)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BILINEAR)
            labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
        pixels = np.asarray(image)
        return (pixels[:, ::-1], labels[:, ::-1]) if flip else (pixels, labels)


@dataclass(frozen=True)
class EvaluationScenes(Dataset[EvaluationScene]):
    """Scenes as a network is tested on: images scaled, labels as they are."""

    source: LabelledScenes
    edge: int | None
    longest: int

    def __len__(self) -> int:
        """How many scenes there are."""
        return len(self.source)

    def __getitem__(self, index: int) -> EvaluationScene:
        """One scene."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        image, labels = self.source.scene(index)
        return EvaluationScene(network_pixels(image, self.edge, self.longest)[None], torch.from_numpy(labels.copy()))


def scaled_size(size: tuple[int, int], edge: int | None, longest: int) -> tuple[int, int]:
    """Width and height with the shorter side at `edge`, or less where the longer one would exceed `longest`.

    >>> scaled_size((1280, 720), 360, 1000), scaled_size((1280, 720), 720, 1000), scaled_size((480, 360), None, 100)
    ((640, 360), (1000, 562), (480, 360))
    """
    if edge is None:
        return size
    scale = min(edge / min(size), longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def network_pixels(
    image: Image.Image, edge: int | None, longest: int, multiple: int = STRIDE, only: tuple[int, int] | None = None
) -> torch.Tensor:
    """An image as a segmenter is tested on it: scaled, then stretched to the next multiples of 8, or of another number.

    A network that takes `only` images of a size (H, W) gets them stretched to that.

    Up-sampling the network's logits to the image's own size undoes both.

    Returns:
        uint8 (3, H, W).
    """
    width, height = (-(-side // multiple) * multiple for side in scaled_size(image.size, edge, longest))
    if only is not None:
        height, width = only
    image = to_rgb(image)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).contiguous()


def _multiple(side: int) -> int:
    return -(-side // STRIDE) * STRIDE


def _loader(dataset: Dataset[Item], workers: Workers) -> DataLoader[Item]:
    # A generator of its own: the loader must not take numbers from the one that dropout uses.
    processes = min(workers_of(workers), len(dataset))  # type: ignore[arg-type]
    return DataLoader(dataset, batch_size=None, num_workers=processes, generator=torch.Generator())
