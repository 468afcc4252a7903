"""Small pieces that the stages take, made by the stages before them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pipelines_toys import DETECTORS, EXTRACTION, GREENS, IDENTITY, RUNTIME
from toy_benchmark import model_spec, write_squares

from scaling_ood.datasets import CheckpointDataset, ShardsDataset, StoredModel, StoredShards
from scaling_ood.parameters import DataSets, DataSpec, ModelSpec
from scaling_ood.pipelines.data_preparation.nodes import prepare_manifest
from scaling_ood.pipelines.model_training.nodes import plan_training_features, train_heads
from scaling_ood.pipelines.score_extraction.nodes import check_accuracy, plan_outputs

PER_CLASS = 12


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("photographs")
    write_squares(root / "squares", PER_CLASS)
    write_squares(root / "greens", 4, GREENS)
    return str(root)


@pytest.fixture
def data_sets() -> DataSets:
    return DataSets.model_validate(
        {
            "squares": {"source": "photographs", "layout": "class_folders", "folder": "squares"},
            "greens": {"source": "photographs", "layout": "class_folders", "folder": "greens"},
            "static": {"source": "noise", "recipe": "gaussian", "images": 6},
            "raw_static": {"source": "noise", "recipe": "rademacher", "images": 6, "noise_range": "tensor"},
        }
    )


@pytest.fixture
def data() -> DataSpec:
    return DataSpec.model_validate(
        {
            "in_dist": "squares",
            "ood": ["greens", "static", "raw_static"],
            "train": {"split": "all", "per_class": 4},
            "fit": {"split": "all", "per_class": 5},
            "test": {"split": "all"},
            "coarse_labels": "class_prefix",
        }
    )


@pytest.fixture
def prepared(data_root: str, data_sets: DataSets, data: DataSpec) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    return prepare_manifest(data_root, data_sets, data, IDENTITY, RUNTIME)


@pytest.fixture
def manifest(prepared: tuple[Any, ...]) -> pd.DataFrame:
    return prepared[0]


@pytest.fixture
def preparation(prepared: tuple[Any, ...]) -> dict[str, Any]:
    return prepared[2]


@pytest.fixture
def spec(toy_architecture: None) -> ModelSpec:
    return model_spec(seeds=(0, 1), learning_rate=0.3)


@pytest.fixture
def features(manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path / "features"))
    dataset.save(plan_training_features(manifest, preparation, spec, RUNTIME))
    return dataset.load()


@pytest.fixture
def model(
    features: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path
) -> StoredModel:
    dataset = CheckpointDataset(filepath=str(tmp_path / "model"))
    dataset.save(train_heads(features, manifest, preparation, spec, RUNTIME, IDENTITY))
    return dataset.load()


@pytest.fixture
def outputs(
    model: StoredModel, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path
) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path / "outputs"))
    dataset.save(plan_outputs(model, manifest, preparation, spec, EXTRACTION, DETECTORS, RUNTIME, IDENTITY))
    return dataset.load()


@pytest.fixture
def accuracy(
    outputs: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> dict[str, Any]:
    return check_accuracy(outputs, manifest, preparation, spec, IDENTITY)
