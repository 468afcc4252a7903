"""The batches of CIFAR-10's Python version: pickled dictionaries of pixels and labels, written by Python 2."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_ood.images.files import RefusedFileError, read_file
from scaling_ood.images.layouts import LayoutError
from scaling_ood.restricted_pickle import NUMPY, restricted_unpickler

SIDE_PX = 32
FOLDER = "cifar-10-batches-py"
_Unpickler = restricted_unpickler(NUMPY)


@dataclass(frozen=True)
class Batch:
    """Images and labels of one file.

    Attributes:
        pixels: (N, 3072) uint8: red, green and blue planes of 32 x 32, row by row.
        labels: Class index of each image.
    """

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]


@lru_cache(maxsize=6)
def read_batch(path: Path) -> Batch:
    """One batch; the six of the data set (180 MB) are kept.

    Raises:
        FileNotFoundError: No such file.
        LayoutError: The file is no such batch, or would build anything else than arrays.
    """
    content = _unpickled(path)
    pixels, labels = content.get("data"), content.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * SIDE_PX**2,):
        raise LayoutError(f"{path}: 'data' is no uint8 array of {3 * SIDE_PX**2:,} values per image")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(each) is int for each in labels):
        raise LayoutError(f"{path}: 'labels' is no list of {len(pixels):,} integers")
    return Batch(np.asarray(pixels), tuple(labels))


def read_class_names(path: Path) -> tuple[str, ...]:
    """Names of the classes, by index, from `batches.meta`.

    Raises:
        FileNotFoundError: No such file.
        LayoutError: It holds no names.
    """
    names = _unpickled(path).get("label_names")
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        raise LayoutError(f"{path}: 'label_names' is no list of names")
    return tuple(names)


def read_image_bytes(batch: str, key: str) -> bytes:
    """One image as a PPM file, which holds its very pixels.

    Raises:
        OSError: No such batch or image.
    """
    try:
        pixels = read_batch(Path(batch)).pixels[int(key)]
    except (LayoutError, ValueError, IndexError) as error:
        raise OSError(f"no image {key} in {batch}: {error}") from error
    planes = pixels.reshape(3, SIDE_PX, SIDE_PX)
    header = f"P6 {SIDE_PX} {SIDE_PX} 255\n".encode()
    return header + bytes(planes.transpose(1, 2, 0).tobytes())


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        # Python 2 wrote text and bytes alike; latin1 keeps every byte, and numpy takes its buffers back from it.
        content = _Unpickler(io.BytesIO(read_file(path)), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise LayoutError(f"{path} is no batch of CIFAR-10: {error}") from error
    except RefusedFileError as error:
        raise LayoutError(f"{path} is no batch of CIFAR-10: it {error}") from error
    if not isinstance(content, dict):
        raise LayoutError(f"{path} is no batch of CIFAR-10: no dictionary")
    return content
