"""COCO's folders and numbers, and ImageNet's folders for what COCO does not know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice

from miniatures.composite.kinds import Kind, kinds
from miniatures.composite.spec import CompositeSpec
from miniatures.requests import image_folder

SPLITS = ("train", "val")
PARTS = (*SPLITS, "ood", "control")

_FIRST_ID = 100_000
_NO_CATEGORY = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})


@dataclass(frozen=True)
class CompositeFolder:
    """The images of one folder.

    Attributes:
        part: `train`, `val`, `ood` or `control`.
        images: How many there are.
        kind: What every image of the folder shows, among other things; None in `train` and `val`.
    """

    part: str
    images: int
    kind: Kind | None = None

    def image_name(self, index: int) -> str:
        """Return the file name of an image: as in COCO a number of 12 digits, or as in ImageNet the folder's name.

        >>> CompositeFolder("train", 3).image_name(2)
        '000000100003.jpg'
        """
        return f"{self.image_id(index):012d}.jpg" if self.kind is None else f"{self.kind.name}_{index:05d}.jpg"

    def image_id(self, index: int) -> int:
        """Return the number of an image in COCO's annotations; no two splits share one."""
        return _FIRST_ID * (1 + PARTS.index(self.part)) + index + 1


@lru_cache(maxsize=8)
def _folders(spec: CompositeSpec) -> dict[str, CompositeFolder]:
    known, unseen = kinds(spec)
    listed = {split: CompositeFolder(split, getattr(spec, f"{split}_images")) for split in SPLITS}
    listed |= {f"ood/{kind.name}": CompositeFolder("ood", spec.ood_images, kind) for kind in unseen}
    if spec.control_images:
        listed |= {f"control/{kind.name}": CompositeFolder("control", spec.control_images, kind) for kind in known}
    return listed


def composite_folders(spec: CompositeSpec) -> dict[str, CompositeFolder]:
    """List the folders of images.

    Args:
        spec: What to render.

    Returns:
        Relative folder to its content: `train`, `val`, `ood/<unseen kind>` and `control/<known kind>`.
    """
    return dict(_folders(spec))


def category_ids(spec: CompositeSpec) -> dict[str, int]:
    """Return the known kinds' numbers in COCO's annotations, ascending, with the gaps that COCO's numbers have."""
    known = kinds(spec).known
    numbers = (number for number in count(1) if number not in _NO_CATEGORY)
    return dict(zip([kind.name for kind in known], islice(numbers, len(known)), strict=True))


def composite_folder(spec: CompositeSpec, folder: str, index: int) -> CompositeFolder:
    """Return what is in a folder, having checked that it holds the image.

    Args:
        spec: What to render.
        folder: A key of `composite_folders(spec)`.
        index: Which image of the folder, from 0.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    return image_folder(_folders(spec), folder, index)
