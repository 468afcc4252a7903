"""Segmenters in files that are whole networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scaling_ood.models.backbone import EVERYTHING
from scaling_ood.models.files import digest_of_files
from scaling_ood.models.programs import Program, ProgramError, file_of, read_program
from scaling_ood.models.segmentation.whole import WholeSegmenter


def segmenter_of(name: str, prefix: str, read: Callable[[Path], Program]) -> WholeSegmenter:
    """The segmenter that a file holds.

    Args:
        name: With the prefix of its source.
        prefix: That.
        read: Of its kind of file.

    Raises:
        ProgramError: The file is not there, cannot be taken, or holds a classifier of whole images.
    """
    path = file_of(name, prefix)
    program = read_program(read, path)
    if program.head is not None:
        raise ProgramError(f"'{name}' gives one vector of logits per image, not one per pixel")
    digest = digest_of_files([path, *program.beside])
    backwards = getattr(program.network, "runs_backwards", True)
    return WholeSegmenter(
        lambda _classes, _pretrained: program.network,
        preprocessing=None,
        classes=program.classes,
        size=program.size,
        weights=f"{program.words} {path.name} ({digest})",
        weights_digest=digest,
        gives=EVERYTHING if backwards else EVERYTHING - {"gradients"},
        program=True,
        identity=f"{prefix}{digest}",
        files=(path, *program.beside),
    )
