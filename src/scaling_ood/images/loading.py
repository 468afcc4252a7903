"""Image sets as torch data sets, and the loader that feeds a network from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset, default_collate

from scaling_ood.cores import Workers, workers_of
from scaling_ood.images.exif import SIDEWAYS, Orientation, orientation_of, turned_by_pillow
from scaling_ood.images.noise import Noise, to_pixels
from scaling_ood.images.opening import as_rgb, load, open_content
from scaling_ood.images.recorded import RecordedFile, content_of, path_of
from scaling_ood.images.transforms import Preprocessing


class UnreadableImageError(RuntimeError):
    """An image that passed the check of data preparation cannot be read any more."""


class ImageSource(Protocol):
    """Gives the tensor of an image by its index."""

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def __getitem__(self, index: int) -> torch.Tensor:
        """(3, H, W): uint8 pixels, or float32 pixels in [0, 1], or float32 network input; see the class."""
        ...


@dataclass(frozen=True)
class Photographs(Dataset[torch.Tensor]):
    """Images on disk (see `containers`), prepared as the weights want them: uint8 (3, crop_px, crop_px).

    Of recorded files each is read only if it is still what was recorded.
    """

    paths: Sequence[str | RecordedFile]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Decoded, scaled and cropped image."""
        return self.preprocessing.crop(read_image(self.paths[index], self.preprocessing.orientation))


@dataclass(frozen=True)
class NoiseImages(Dataset[torch.Tensor]):
    """Generated images at the network's input size: float32 (3, crop_px, crop_px).

    Values are pixels in [0, 1] for `noise_range = pixel` and network input in [-1, 1] for `tensor`.
    """

    noise: Noise
    indices: Sequence[int]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.indices)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Generated image; depends on the noise set's options and the image's own index alone."""
        image = self.noise.image(self.indices[index], self.preprocessing.crop_px)
        if self.noise.noise_range == "pixel":
            image = to_pixels(image)
        return torch.from_numpy(image).permute(2, 0, 1)


@dataclass(frozen=True)
class Loading:
    """How images reach the network; changes speed, never results.

    Attributes:
        batch_images: Images per forward pass.
        workers: Processes that decode; 0 decodes in the main process, `auto` takes all usable cores.
    """

    batch_images: int = 64
    workers: Workers = "auto"

    def cut(self, shards: Sequence[int]) -> list[range]:
        """Indices of the images of each batch.

        Args:
            shards: Numbers of successive images that no batch reaches over.

        >>> Loading(2).cut([3, 1])
        [range(0, 2), range(2, 3), range(3, 4)]
        """
        ends, step = [0, *accumulate(shards)], self.batch_images
        return [
            range(first, min(first + step, end)) for start, end in pairwise(ends) for first in range(start, end, step)
        ]

    def batches(
        self,
        source: ImageSource | Dataset[Any],
        pin_memory: bool,
        shards: Sequence[int] = (),
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> DataLoader[Any]:
        """Batches (N, 3, H, W) of a source, in order.

        Args:
            source: All images.
            pin_memory: For a GPU.
            shards: Numbers of successive images that no batch reaches over, so that what a network makes of them is the
                same bit by bit whichever process makes which of them; by default one of all images. The last batch
                of each is possibly smaller.
            collate: What makes a batch of its images, by default PyTorch's way; see `as_decoded`.
        """
        batches = self.cut(shards or [len(source)])  # type: ignore[arg-type]
        return DataLoader(
            source,  # type: ignore[arg-type]
            batch_sampler=batches,  # type: ignore[arg-type]
            num_workers=min(workers_of(self.workers), len(batches)),
            pin_memory=pin_memory,
            collate_fn=collate,
            # Of its own: the loader must not take numbers from the one that training uses.
            generator=torch.Generator(),
        )


def as_decoded(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """A batch (N, 3, H, W) in the order of memory in which images are decoded and most networks are fastest.

    >>> as_decoded([torch.zeros(3, 5, 4)]).is_contiguous(memory_format=torch.channels_last)
    True
    """
    batch: torch.Tensor = default_collate([image.permute(1, 2, 0) for image in images])
    return batch.permute(0, 3, 1, 2)


def read_pixels(file: str | RecordedFile, most_px: int, orientation: Orientation = "stored") -> NDArray[np.uint8]:
    """An image as the eye sees it, scaled down to `most_px` on its longer side: (H, W, 3), sRGB."""
    shown = read_image(file, orientation)
    shown.thumbnail((most_px, most_px))
    return np.asarray(shown)


def read_image(file: str | RecordedFile, orientation: Orientation = "stored") -> Image.Image:
    """An image as RGB, decoded.

    Raises:
        ChangedFileError: It is not what was recorded.
        UnreadableImageError: It was readable when the data was prepared and is not now.
    """
    with _as_prepared(file):
        return as_rgb(open_content(content_of(file)), orientation)


def image_size(file: str | RecordedFile, orientation: Orientation = "stored") -> tuple[int, int]:
    """Width and height of what `read_image` gives, without decoding it where it can be told; errors are the same."""
    with _as_prepared(file):
        image = open_content(content_of(file))
        if turned_by_pillow(image) > 1:  # Versions of Pillow differ in what they say of its size before they turn it.
            load(image)
    turn = orientation_of(image) if orientation == "upright" else 1
    return image.size[::-1] if turn >= SIDEWAYS else image.size


@contextmanager
def _as_prepared(file: str | RecordedFile) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableImageError(
            f"{path_of(file)} cannot be read any more ({error}), though it could when the data was prepared; prepare "
            "it anew: kedro run --pipelines data_preparation"
        ) from error
