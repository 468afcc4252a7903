"""Images: readers of the official on-disk layouts, noise generators, transforms, loaders."""

from scaling_ood.images import cifar, imagenet, lsun, places, species, textures
from scaling_ood.images.checks import check_images
from scaling_ood.images.containers import read_bytes
from scaling_ood.images.exif import Orientation
from scaling_ood.images.layouts import EmptyClassError, Entry, LayoutError, layout_names, list_images
from scaling_ood.images.loading import ImageSource, Loading, NoiseImages, Photographs, read_image, read_pixels
from scaling_ood.images.noise import Noise
from scaling_ood.images.opening import open_image
from scaling_ood.images.recorded import ChangedFileError, RecordedFile, recorded_files
from scaling_ood.images.transforms import Preprocessing

__all__ = [
    "ChangedFileError",
    "EmptyClassError",
    "Entry",
    "ImageSource",
    "LayoutError",
    "Loading",
    "Noise",
    "NoiseImages",
    "Orientation",
    "Photographs",
    "Preprocessing",
    "RecordedFile",
    "check_images",
    "cifar",
    "imagenet",
    "layout_names",
    "list_images",
    "lsun",
    "open_image",
    "places",
    "read_bytes",
    "read_image",
    "read_pixels",
    "recorded_files",
    "species",
    "textures",
]
