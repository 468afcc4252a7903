"""Node that curates scraped data sets."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from scaling_ood.datasets import StoredParts
from scaling_ood.images.curation import REPORT_COLUMNS, curate, read_flags
from scaling_ood.images.quality import measure_quality, quality_measure
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.data_sets import CurationSpec, DataSets, DataSpec, FolderSpec
from scaling_ood.pipelines.data_preparation.nodes import folder_of, read_copy

_logger = logging.getLogger(__name__)


def curate_images(
    data_root: str,
    data_sets: DataSets,
    data: DataSpec,
    runtime: RuntimeSpec,
    fabricated: StoredParts[Any] | None = None,
) -> pd.DataFrame:
    """Find the images that are left out for their quality; nothing is deleted.

    Returns:
        A row per image that is left out: `data_set`, `id`, `path`, `class_name`, `quality`, `reason`.

    Raises:
        FlagError: A list of flags cannot be used.
        MissingLibraryError: The measure needs a package that is not installed.
    """
    reports = [pd.DataFrame(columns=["data_set", *REPORT_COLUMNS])]
    for name, spec in data_sets.used_by(data).items():
        if not isinstance(spec, FolderSpec) or spec.curation is None:
            continue
        place = folder_of(spec, data_root, fabricated)
        images, _ = read_copy(name, spec, place)
        report = _curated(images, place, spec.curation, data_root, runtime.workers)
        _logger.info("Curation leaves out %s of %s images of %s", f"{len(report):,}", f"{len(images):,}", name)
        if len(report):
            reports.append(report.assign(data_set=name))
    return pd.concat(reports[1:] or reports, ignore_index=True)[["data_set", *REPORT_COLUMNS]]


def _curated(images: pd.DataFrame, place: str, spec: CurationSpec, data_root: str, workers: int) -> pd.DataFrame:
    flags = read_flags(f"{data_root}/{spec.flags}", images) if spec.flags is not None else None
    if spec.quality is None:
        return curate(images, flags=flags)[1]
    measure = quality_measure(spec.quality)
    paths = (place + "/" + images["path"]).tolist()
    values = pd.Series(list(measure_quality(measure, paths, workers)), index=images["id"], dtype="float64")
    return curate(images, measure, values, spec.cutoff, flags)[1]
