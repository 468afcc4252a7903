"""What data preparation tells of the images: in the record, and in one line of the terminal for each kind."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from scaling_ood.images.layouts import counted
from scaling_ood.images.manifest import count_left_out
from scaling_ood.images.sharing import alike_images, refuse_shared, shared_images
from scaling_ood.parameters.common import SharingSpec

_logger = logging.getLogger(__name__)


def find(
    manifest: pd.DataFrame,
    others: pd.DataFrame,
    spec: SharingSpec,
    roles: Collection[str],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Fields of `Findings`, which are told as warnings too.

    Args:
        manifest: All images that are used.
        others: Files that are left out: `LEFT_OUT`.
        spec: What may be shared.
        roles: Names of the in-distribution image sets.
        notes: What else was found, in words.

    Raises:
        SharedImagesError: Too many images stand on both sides.
    """
    left_out, shared = count_left_out(others), shared_images(manifest)
    refuse_shared(shared, roles, spec.most_shared)
    if spec.near_duplicates:
        shared += alike_images(manifest)
    if left_out:
        told = ". ".join(f"{name}: {counted(reasons)}" for name, reasons in left_out.items())
        _logger.warning("Files are left out (named in quarantine.csv). %s", told)
    if shared:
        _logger.warning("Pictures stand more than once. %s", "; ".join(map(str, shared)))
    for note in notes:
        _logger.warning(note)
    return {"left_out": left_out, "shared": tuple(shared), "notes": tuple(notes)}
