"""Kedro catalog types: products that resume, products with a record, and tracked runs."""

from scaling_ood.datasets.benchmarks import BenchmarksDataset
from scaling_ood.datasets.checkpoints import CheckpointDataset
from scaling_ood.datasets.files import ProvidedFileDataset
from scaling_ood.datasets.images import FabricatedImagesDataset, ImageRootDataset
from scaling_ood.datasets.mlflow_runs import MlflowRunsDataset, UnsentRunsDataset
from scaling_ood.datasets.packaged_model import PackagedModelDataset
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
