"""Images: readers of the official on-disk layouts, noise generators, transforms, loaders."""

from scaling_ood.images.checks import check_images
from scaling_ood.images.layouts import EmptyClassError, Entry, layout_names, list_images
from scaling_ood.images.loading import ImageSource, Loading, NoiseImages, Photographs, read_image, read_pixels
from scaling_ood.images.noise import Noise
from scaling_ood.images.transforms import Preprocessing

__all__ = [
    "EmptyClassError",
    "Entry",
    "ImageSource",
    "Loading",
    "Noise",
    "NoiseImages",
    "Photographs",
    "Preprocessing",
    "check_images",
    "layout_names",
    "list_images",
    "read_image",
    "read_pixels",
]
