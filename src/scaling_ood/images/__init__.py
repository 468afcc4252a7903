"""Images: readers of the official on-disk layouts, noise generators, transforms, loaders."""

from scaling_ood.images import cifar, folders, imagenet, lsun, places, species, textures
from scaling_ood.images.exif import Orientation
from scaling_ood.images.folders import EmptyClassError
from scaling_ood.images.layouts import LayoutError
from scaling_ood.images.listing import LAYOUTS, Entry, list_files
from scaling_ood.images.loading import (
    ImageSource,
    Loading,
    NoiseImages,
    Photographs,
    as_decoded,
    image_size,
    read_image,
    read_pixels,
)
from scaling_ood.images.noise import Noise
from scaling_ood.images.opening import open_image
from scaling_ood.images.recorded import ChangedFileError, RecordedFile, recorded_files
from scaling_ood.images.transforms import Interpolation, Preprocessing

__all__ = [
    "LAYOUTS",
    "ChangedFileError",
    "EmptyClassError",
    "Entry",
    "ImageSource",
    "Interpolation",
    "LayoutError",
    "Loading",
    "Noise",
    "NoiseImages",
    "Orientation",
    "Photographs",
    "Preprocessing",
    "RecordedFile",
    "as_decoded",
    "cifar",
    "folders",
    "image_size",
    "imagenet",
    "list_files",
    "lsun",
    "open_image",
    "places",
    "read_image",
    "read_pixels",
    "recorded_files",
    "species",
    "textures",
]
