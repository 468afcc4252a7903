"""Species: images from iNaturalist that show none of ImageNet-21K's classes (the paper, section 3 and appendix C)."""

from __future__ import annotations

from pathlib import Path

from scaling_ood.images.layouts import EmptyClassError, Entry, class_folders, layout, subfolders
from scaling_ood.images.wording import listed


@layout("species")
def _species(root: Path) -> list[Entry]:
    """Species: the ten unpacked archives side by side, `<supercategory>/<species>/*`.

    A class is called `<supercategory>/<species>`. One supercategory alone is read by `class_folders`.
    """
    supercategories = {folder: subfolders(folder) for folder in subfolders(root)}
    bare = [folder.name for folder, species in supercategories.items() if not species]
    if bare:
        raise EmptyClassError(f"{len(bare)} supercategories of {root.name} hold no folder of a species: {listed(bare)}")
    folders = [("all", folder) for species in supercategories.values() for folder in species]
    return class_folders(root, folders, class_name=lambda folder: folder.relative_to(root).as_posix())
