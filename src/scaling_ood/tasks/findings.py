"""What data preparation tells of the images: in the record, and in one line of the terminal for each kind."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from scaling_ood.images import Orientation
from scaling_ood.images.exif import oriented, oriented_in_words
from scaling_ood.images.manifest import count_left_out
from scaling_ood.images.sharing import alike_images, refuse_shared, shared_images
from scaling_ood.parameters.common import SharingSpec
from scaling_ood.products.preparation import Findings, Origins
from scaling_ood.wording import counted

_logger = logging.getLogger(__name__)


def find(
    manifest: pd.DataFrame,
    others: pd.DataFrame,
    spec: SharingSpec,
    roles: Collection[str],
    orientation: Orientation,
    *,
    origins: tuple[Origins, ...],
    unreadable: int,
    notes: Sequence[str] = (),
    differences: Sequence[str] = (),
    curated: Mapping[str, int] | None = None,
) -> Findings:
    """Findings, which are told as warnings too.

    Args:
        manifest: All images that are used.
        others: Files that are left out: `LEFT_OUT`.
        spec: What may be shared.
        roles: Names of the in-distribution image sets.
        orientation: How photographs with an EXIF orientation are taken.
        origins: From where the images of each set come.
        unreadable: Number of images that were set apart.
        notes: What else was found, in words.
        differences: In what copies differ from what was published, in words.
        curated: Data set to the number of images that were left out for their quality.

    Raises:
        SharedImagesError: Too many images stand on both sides.
    """
    left_out, shared, turned = count_left_out(others), shared_images(manifest), oriented(manifest)
    refuse_shared(shared, roles, spec.most_shared)
    if spec.near_duplicates:
        shared += alike_images(manifest)
    if left_out:
        told = ". ".join(f"{name}: {counted(reasons)}" for name, reasons in left_out.items())
        _logger.warning("Files are left out (named in quarantine.csv). %s", told)
    if shared:
        _logger.warning("Pictures stand more than once. %s", "; ".join(map(str, shared)))
    for difference in differences:
        _logger.warning("The copy of a data set differs from what was published. %s", difference)
    if turned:
        _logger.warning(
            "Images with an EXIF orientation: %s (data.orientation)", oriented_in_words(turned, orientation)
        )
    for note in notes:
        _logger.warning(note)
    return Findings(
        origins=origins,
        left_out=left_out,
        shared=tuple(shared),
        notes=tuple(notes),
        unreadable=unreadable,
        differences=tuple(differences),
        curated=dict(curated or {}),
        oriented=turned,
    )
