"""Where a catalog entry's files lie."""

from __future__ import annotations

from pathlib import Path

from kedro.io import DatasetError


def local_path(filepath: str) -> Path:
    """The place that a catalog entry names.

    Raises:
        DatasetError: It is in another file system, such as `s3://bucket/x`, which would become a local folder `s3:`.
    """
    if "://" in filepath:
        raise DatasetError(f"{filepath}: products and photographs are kept on local disks only; give a folder or file")
    return Path(filepath)
