"""StreetHazards' folders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from miniatures.requests import image_folder
from miniatures.street.spec import StreetSpec

SPLITS = ("training", "validation", "test")


@dataclass(frozen=True)
class StreetFolder:
    """The images of one town.

    Attributes:
        split: `training`, `validation` or `test`.
        town: Folder name; no two splits share one.
        town_number: Position of the town among those of its split, from 0.
        images: How many images there are.
        annotations: Folder of the label PNGs, ids 1 to 14.
        inserted: Folder for the PNGs that tell which object was inserted; only in the control, whose annotations hold
            that object's own class.
    """

    split: str
    town: str
    town_number: int
    images: int
    annotations: str
    inserted: str | None = None

    def places(self, images: str) -> list[str]:
        """List the folders that one rendering fills, given that of the images: theirs, then those of the PNGs."""
        return [place for place in (images, self.annotations, self.inserted) if place]

    @property
    def is_control(self) -> bool:
        """Whether a known object takes the anomaly's place."""
        return self.inserted is not None


@lru_cache(maxsize=8)
def _folders(spec: StreetSpec) -> dict[str, StreetFolder]:
    listed, first = {}, 1
    for split in SPLITS:
        root = "test" if split == "test" else "train"
        towns, images = getattr(spec, f"{split}_towns"), getattr(spec, f"{split}_images")
        for number in range(towns):
            town = f"t{first + number}"
            place = f"{root}/annotations/{split}/{town}"
            listed[f"{root}/images/{split}/{town}"] = StreetFolder(split, town, number, images, place)
            if split == "test" and spec.control_images:
                control = StreetFolder(
                    split,
                    town,
                    number,
                    spec.control_images,
                    f"control/annotations/test/{town}",
                    f"control/inserted/test/{town}",
                )
                listed[f"control/images/test/{town}"] = control
        first += towns
    return listed


def street_folders(spec: StreetSpec) -> dict[str, StreetFolder]:
    """List the image folders, in StreetHazards' on-disk layout, and those of the control.

    Args:
        spec: What to render.

    Returns:
        Relative folder of images to its content: `train/images/training/<town>`, `train/images/validation/<town>`,
        `test/images/test/<town>` and `control/images/test/<town>`.
    """
    return dict(_folders(spec))


def street_image_name(index: int) -> str:
    """Return the file name of an image and of its annotation: numbered from 1.

    >>> street_image_name(0)
    '001.png'
    """
    return f"{index + 1:03d}.png"


def street_folder(spec: StreetSpec, folder: str, index: int) -> StreetFolder:
    """Return what is in a folder, having checked that it holds the image.

    Args:
        spec: What to render.
        folder: A key of `street_folders(spec)`.
        index: Which image of the folder, from 0.

    Raises:
        KeyError: If the spec has no such folder; the message names the nearest one.
        IndexError: If the folder has no such image.
    """
    return image_folder(_folders(spec), folder, index)
