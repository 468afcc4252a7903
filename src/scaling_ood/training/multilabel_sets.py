"""Images with any number of labels on their way into a training: cached features, or photographs read one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from scaling_ood.cores import workers_of
from scaling_ood.images import Loading, Photographs, Preprocessing, image_size, read_image
from scaling_ood.images.recorded import RecordedFile, path_of
from scaling_ood.images.transforms import INTERPOLATION
from scaling_ood.training.ranks import ALONE, Share
from scaling_ood.training.sampling import Sampling

UNLABELLED = -1
"""In all of an image's targets where nobody says what it shows; an image that shows nothing known has zeros."""

_AUGMENTATION = 1
_MOST_NAMED = 5


class MultiLabelError(ValueError):
    """Images that cannot be trained on, or that no best epoch can be chosen on."""


class MultiLabelBatch(NamedTuple):
    """Inputs (N, ...) for `network_input` of their source, and targets (N, C), float32, 1 where a class is present."""

    inputs: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of a frozen backbone, held in memory; they are never changed by chance.

    Attributes:
        features: (N, D), float32.
        targets: (N, C): 1 present, 0 absent, `UNLABELLED`.
    """

    features: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.features)

    def name(self, index: int) -> str:
        """What an error calls an image: its number."""
        return f"image {index}"

    def training_batches(self, sampling: Sampling, epoch: int, share: Share = ALONE.share) -> Iterable[MultiLabelBatch]:
        """Features and targets of each step of an epoch; they depend on the sampling and the epoch alone."""
        own = share.of(sampling.images)
        for indices in torch.from_numpy(sampling.order(len(self), epoch)):
            yield MultiLabelBatch(self.features[indices[own]], self.targets[indices[own]].float())

    def evaluation_batches(self) -> Iterable[torch.Tensor]:
        """All features at once."""
        return (self.features,)

    def network_input(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the module takes: the features as they are."""
        return inputs


@dataclass(frozen=True)
class RandomCrop:
    """What chance does to a training image: a rectangle of it is scaled to the network's input, and may be mirrored.

    The defaults are the released code's. A rectangle that does not fit into the image is drawn anew, ten times at most;
    then it is the largest one in the middle whose sides are as allowed.

    Attributes:
        area: Smallest and largest area of the rectangle, as a share of the image's.
        aspect: Smallest and largest ratio of its width to its height.
        flips: Share of the images that are mirrored.
    """

    area: tuple[float, float] = (0.5, 2.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flips: float = 0.5

    def draw(self, size: tuple[int, int]) -> Drawn:
        """For an image of a width and height; chance comes from the global generator."""
        from torchvision.transforms import RandomResizedCrop  # type: ignore[import-untyped]

        of_that_size = torch.empty(()).expand(1, *size[::-1])
        top, left, height, width = RandomResizedCrop.get_params(of_that_size, list(self.area), list(self.aspect))
        return Drawn((left, top, left + width, top + height), torch.rand(()).item() < self.flips)


class Drawn(NamedTuple):
    """A rectangle (left, top, right, bottom) of an image, and whether it is mirrored."""

    rectangle: tuple[int, int, int, int]
    mirrored: bool

    def of(self, image: Image.Image, preprocessing: Preprocessing) -> torch.Tensor:
        """uint8 (3, crop_px, crop_px)."""
        side = preprocessing.crop_px
        cut = image.crop(self.rectangle).resize((side, side), INTERPOLATION[preprocessing.interpolation])
        pixels = np.asarray(cut)[:, ::-1] if self.mirrored else np.asarray(cut)
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


@dataclass(frozen=True)
class LabelledPhotographs:
    """Image files, read when their batch is due: never all in memory.

    Attributes:
        paths: Of the files.
        targets: (N, C): 1 present, 0 absent, `UNLABELLED`.
        preprocessing: Of the network's weights; training images have its normalisation and interpolation.
        crop: Of the training images.
        loading: Processes that decode, and images per batch of an evaluation; changes speed, never results.
    """

    paths: Sequence[str | RecordedFile]
    targets: torch.Tensor
    preprocessing: Preprocessing
    crop: RandomCrop = RandomCrop()
    loading: Loading = field(default_factory=Loading)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.paths)

    def name(self, index: int) -> str:
        """What an error calls an image: its path."""
        return path_of(self.paths[index])

    def training_batches(
        self, sampling: Sampling, epoch: int, share: Share = ALONE.share
    ) -> DataLoader[MultiLabelBatch]:
        """Random crops of each step of an epoch, uint8; they depend on the sampling and the epoch alone."""
        batches = _Crops(self, sampling, epoch, sampling.order(len(self), epoch), share.of(sampling.images))
        # A generator of its own: the loader must not take numbers from the one that dropout uses.
        workers = min(workers_of(self.loading.workers), len(batches))
        return DataLoader(batches, batch_size=None, num_workers=workers, generator=torch.Generator())

    def evaluation_batches(self) -> DataLoader[torch.Tensor]:
        """Images as the network is tested on them, uint8."""
        return self.loading.batches(Photographs(self.paths, self.preprocessing), pin_memory=False)

    def network_input(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the module takes: normalised images, in the memory order that is fastest for convolutions."""
        return self.preprocessing.normalise(inputs).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Crops(Dataset[MultiLabelBatch]):
    """Some images of the batches of one epoch, by the number of the step."""

    source: LabelledPhotographs
    sampling: Sampling
    epoch: int
    order: NDArray[np.int64]
    own: slice

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, step: int) -> MultiLabelBatch:
        if not 0 <= step < len(self):
            raise IndexError(step)
        indices, preprocessing = self.order[step], self.source.preprocessing
        files, orientation = [self.source.paths[index] for index in indices], preprocessing.orientation
        images = [read_image(file, orientation) for file in files[self.own]]
        # What chance does to an image depends on the sizes of those before it.
        before = [image_size(file, orientation) for file in files[: self.own.start]]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.sampling.chance(_AUGMENTATION, self.epoch, step).integers(2**63)))
            drawn = [self.source.crop.draw(size) for size in (*before, *(image.size for image in images))][
                len(before) :
            ]
        pixels = [each.of(image, preprocessing) for each, image in zip(drawn, images, strict=True)]
        targets = self.source.targets[torch.from_numpy(indices[self.own])].float()
        nothing = torch.empty(0, 3, preprocessing.crop_px, preprocessing.crop_px, dtype=torch.uint8)
        return MultiLabelBatch(torch.stack(pixels) if pixels else nothing, targets)


MultiLabelSource = LabelledFeatures | LabelledPhotographs


@dataclass(frozen=True)
class MultiLabelSets:
    """The images of a training.

    Attributes:
        train: Images to learn from.
        validation: Images to choose the best epoch on.
    """

    train: MultiLabelSource
    validation: MultiLabelSource

    def __post_init__(self) -> None:
        """Refuse what cannot be trained on before a training starts; all problems at once."""
        parts = {"training": self.train, "validation": self.validation}
        problems = [problem for part, source in parts.items() for problem in _problems(part, source)]
        if not problems and self.train.targets.shape[1] != self.validation.targets.shape[1]:
            counts = [source.targets.shape[1] for source in parts.values()]
            problems.append(f"training images have {counts[0]} classes, validation images {counts[1]}")
        if not problems and not self.validation.targets.any():
            problems.append("no validation image shows any class: the best epoch cannot be chosen")
        if problems:
            raise MultiLabelError("; ".join(problems))


def _problems(part: str, source: MultiLabelSource) -> list[str]:
    if not len(source):
        return [f"there are no {part} images"]
    if source.targets.ndim != 2 or len(source.targets) != len(source):  # noqa: PLR2004
        return [f"{len(source):,} {part} images need targets ({len(source)}, C), not {tuple(source.targets.shape)}"]
    unlabelled = (source.targets == UNLABELLED).all(dim=1)
    wrong = ~((source.targets == 0) | (source.targets == 1)).all(dim=1) & ~unlabelled
    kinds = {"without labels": unlabelled, "with targets that are neither 0 nor 1": wrong}
    return [
        f"{int(rows.sum()):,} of {len(source):,} {part} images {kind}: {_named(source, rows)}"
        for kind, rows in kinds.items()
        if rows.any()
    ]


def _named(source: MultiLabelSource, rows: torch.Tensor) -> str:
    indices = rows.nonzero().flatten().tolist()
    more = f" and {len(indices) - _MOST_NAMED:,} more" if len(indices) > _MOST_NAMED else ""
    return ", ".join(source.name(index) for index in indices[:_MOST_NAMED]) + more
