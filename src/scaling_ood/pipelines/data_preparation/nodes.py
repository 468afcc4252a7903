"""Nodes of data preparation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scaling_ood.cores import workers_of
from scaling_ood.parameters.common import AnyDataSpec, RenderingSpec, RuntimeSpec
from scaling_ood.products.keys import digest, keyed
from scaling_ood.products.plans import Plan, planned
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredParts
from scaling_ood.tasks import Task


def _version_of_renderer(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"renderer": given["task"].renderer, **vars(given["fabrication"].request())}


@keyed(fabrication=_version_of_renderer)
def fabricate_images(task: Task, fabrication: RenderingSpec[Any]) -> Plan[Any]:
    """Plan the rendering of stand-ins for data sets that cannot be shipped, in the layouts of the real ones."""
    return task.render(fabrication)


@keyed()
def curate_images(
    task: Task,
    data_root: str,
    data: AnyDataSpec,
    runtime: RuntimeSpec,
    fabricated: StoredParts | None = None,
) -> pd.DataFrame:
    """Find the images that are left out for their quality; nothing is deleted.

    Returns:
        A row per image that is left out: `data_set`, `id`, `path`, `class_name`, `quality`, `reason`.
    """
    return task.curate(data, _roots(data_root, fabricated), workers_of(runtime.workers))


def _reads_photographs(given: Mapping[str, Any]) -> bool:
    return bool(given["data"].photographs())


def _rendered_files(given: Mapping[str, Any]) -> Any:
    fabricated = given["fabricated"]
    return [fabricated.origin.key, digest([(name, part["sha256"]) for name, part in fabricated.parts.items()])]


# Rendered images are what their records say: that is checked when they are loaded.
@planned(products=2, unless=_reads_photographs, fabricated=_rendered_files)
def prepare_manifest(
    task: Task,
    benchmark: str,
    data_root: str,
    data: AnyDataSpec,
    runtime: RuntimeSpec,
    fabricated: StoredParts | None = None,
    curation: pd.DataFrame | None = None,
) -> tuple[Manifest, pd.DataFrame]:
    """List, select, divide and check the images of a benchmark.

    Returns:
        Manifest; images and files that are not used, with the reason.
    """
    return task.prepare(data, benchmark, _roots(data_root, fabricated), workers_of(runtime.workers), curation)


def _roots(data_root: str, fabricated: StoredParts | None) -> dict[str, str]:
    """Where photographs and rendered images are."""
    rendered = {} if fabricated is None else {"fabricated": str(fabricated.folder.resolve())}
    return {"photographs": data_root, **rendered}
