"""Small pieces that the stages take, made by the stages before them, once per file of tests."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from pipelines_toys import DETECTORS, EXTRACTION, GREENS, IDENTITY, RUNTIME
from toy_benchmark import TOY, TOY_NETWORK, model_spec, write_squares

from scaling_ood.datasets import CheckpointDataset, ShardsDataset, StoredModel, StoredShards
from scaling_ood.models import ARCHITECTURES
from scaling_ood.parameters.data_sets import DataSets, DataSpec
from scaling_ood.parameters.multi_class import ModelSpec
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


@pytest.fixture(scope="module")
def data_sets() -> DataSets:
    return DataSets.model_validate(
        {
            "squares": {"source": "photographs", "layout": "class_folders", "folder": "squares"},
            "greens": {"source": "photographs", "layout": "class_folders", "folder": "greens"},
            "static": {"source": "noise", "recipe": "gaussian", "images": 6},
            "raw_static": {"source": "noise", "recipe": "rademacher", "images": 6, "noise_range": "tensor"},
        }
    )


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def prepared(data_root: str, data_sets: DataSets, data: DataSpec) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    return prepare_manifest(data_root, data_sets, data, IDENTITY, RUNTIME)


@pytest.fixture(scope="module")
def manifest(prepared: tuple[Any, ...]) -> pd.DataFrame:
    return prepared[0]


@pytest.fixture(scope="module")
def preparation(prepared: tuple[Any, ...]) -> dict[str, Any]:
    return prepared[2]


@pytest.fixture(scope="module")
def spec() -> Iterator[ModelSpec]:
    """The model; while it is in use, the toy's architectures are registered."""
    with pytest.MonkeyPatch.context() as registry:
        registry.setitem(ARCHITECTURES, "toy", TOY)
        registry.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)
        yield model_spec(seeds=(0, 1), learning_rate=0.3)


@pytest.fixture(scope="module")
def features(
    manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory
) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp("features")))
    dataset.save(plan_training_features(manifest, preparation, spec, RUNTIME))
    return dataset.load()


@pytest.fixture(scope="module")
def model(
    features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> StoredModel:
    dataset = CheckpointDataset(filepath=str(tmp_path_factory.mktemp("model")))
    dataset.save(train_heads(features, manifest, preparation, spec, RUNTIME, IDENTITY))
    return dataset.load()


@pytest.fixture(scope="module")
def outputs(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp("outputs")))
    dataset.save(plan_outputs(model, manifest, preparation, spec, EXTRACTION, DETECTORS, RUNTIME, IDENTITY))
    return dataset.load()


@pytest.fixture(scope="module")
def accuracy(
    outputs: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> dict[str, Any]:
    return check_accuracy(outputs, manifest, preparation, spec, IDENTITY)
