"""Kedro catalog types: products that resume, products with a record, and tracked runs."""

from importlib import import_module
from typing import Any

from scaling_ood.datasets.benchmarks import BenchmarksDataset
from scaling_ood.datasets.checkpoints import CheckpointDataset
from scaling_ood.datasets.files import ProvidedFileDataset
from scaling_ood.datasets.images import FabricatedImagesDataset, ImageRootDataset
from scaling_ood.datasets.recorded import RecordedDataset
from scaling_ood.datasets.report import ReportDataset
from scaling_ood.datasets.shards import ShardsDataset
from scaling_ood.datasets.tables import TableDataset

__all__ = [
    "BenchmarksDataset",
    "CheckpointDataset",
    "FabricatedImagesDataset",
    "ImageRootDataset",
    "MlflowRunsDataset",
    "PackagedModelDataset",
    "ProvidedFileDataset",
    "RecordedDataset",
    "ReportDataset",
    "ShardsDataset",
    "TableDataset",
    "UnsentRunsDataset",
]

_WITH_MLFLOW = {
    "MlflowRunsDataset": "mlflow_runs",
    "PackagedModelDataset": "packaged_model",
    "UnsentRunsDataset": "mlflow_runs",
}
"""Types that are imported when the catalog has one, and the files that they are in."""


def __getattr__(name: str) -> Any:
    if name not in _WITH_MLFLOW:
        raise AttributeError(f"{__name__} has no {name}")
    return getattr(import_module(f"{__name__}.{_WITH_MLFLOW[name]}"), name)
