"""Kedro catalog types: products that resume, scores, and tracked runs."""

from scaling_ood.datasets.benchmarks import BenchmarksDataset
from scaling_ood.datasets.checkpoints import CheckpointDataset, StoredModel
from scaling_ood.datasets.files import ProvidedFile, ProvidedFileDataset
from scaling_ood.datasets.images import FabricatedImagesDataset, ImageFolder, ImageRootDataset
from scaling_ood.datasets.kept_files import DamagedPartError
from scaling_ood.datasets.mlflow_runs import MlflowRunsDataset
from scaling_ood.datasets.planned import StoredParts
from scaling_ood.datasets.scores import ScoresDataset
from scaling_ood.datasets.shards import ShardsDataset, StoredShards

__all__ = [
    "BenchmarksDataset",
    "CheckpointDataset",
    "DamagedPartError",
    "FabricatedImagesDataset",
    "ImageFolder",
    "ImageRootDataset",
    "MlflowRunsDataset",
    "ProvidedFile",
    "ProvidedFileDataset",
    "ScoresDataset",
    "ShardsDataset",
    "StoredModel",
    "StoredParts",
    "StoredShards",
]
