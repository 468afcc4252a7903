"""Images to a model: cached features, heads, whole networks and published weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pipelines_toys import IDENTITY, RUNTIME
from scaling_ood.plans import StaleProductError
from scaling_ood.preparation import Preparation, model_key
from torch import nn
from toy_benchmark import CLASSES, TOY, build_toy, model_spec

from scaling_ood.datasets import CheckpointDataset, ProvidedFileDataset, ShardsDataset, StoredModel, StoredShards
from scaling_ood.models import ARCHITECTURES, ClassCountError, Classifier, architecture
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.multi_class import ModelSpec
from scaling_ood.pipelines.model_training import features as feature_plans
from scaling_ood.pipelines.model_training import nodes
from scaling_ood.pipelines.model_training.nodes import (
    adopt_classifier,
    plan_training_features,
    record_training,
    train_heads,
    train_networks,
    verify_published,
)


def test_features_are_the_published_backbones_of_the_training_images_in_order(
    features: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any]
) -> None:
    stored = torch.cat([features.read(name)["features/features"] for name in features.parts])
    rows = manifest[manifest["image_set"] == "train"]
    assert stored.shape == (len(rows), 5)
    backbone = build_toy(True)[0].eval()
    for row, feature in zip(rows.itertuples(), stored, strict=True):
        with Image.open(f"{preparation['folders']['squares']}/{row.path}") as image:
            # The registered preprocessing: shorter side (10) stays 10, the central 8 x 8 pixels, mean = std = 0.5.
            pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
        expected = backbone(torch.from_numpy((pixels - 0.5) / 0.5)[None])[0]
        torch.testing.assert_close(feature, expected.detach(), rtol=1e-4, atol=1e-5)


def test_batch_size_and_shard_size_change_no_feature(
    features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feature_plans, "SHARD_IMAGES", 3)
    dataset = ShardsDataset(filepath=str(tmp_path / "other"))
    dataset.save(plan_training_features(manifest, preparation, spec, RuntimeSpec(device="cpu", batch_images=4)))
    other = dataset.load()
    assert len(other.parts) == 6
    whole = [torch.cat([one.read(name)["features/features"] for name in one.parts]) for one in (features, other)]
    torch.testing.assert_close(whole[0], whole[1], rtol=1e-5, atol=1e-6)
    assert other.key == features.key


def test_heads_are_trained_for_every_kind_of_labels_and_seed(model: StoredModel) -> None:
    states = model.states()
    assert states.keys() == {"fine_seed0", "fine_seed1", "coarse_seed0", "coarse_seed1"}
    assert {name: tuple(state["weight"].shape) for name, state in states.items()} == {
        name: (4 if name.startswith("fine") else 2, 5) for name in states
    }
    assert not torch.equal(states["fine_seed0"]["weight"], states["fine_seed1"]["weight"])
    assert len(model.history) == 4 * 3


def test_coarse_heads_learn_the_groups(
    features: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], tmp_path: Path, spec: ModelSpec
) -> None:
    long = model_spec(labels=("coarse",), epochs=60, learning_rate=0.3)
    dataset = CheckpointDataset(filepath=str(tmp_path / "coarse"))
    dataset.save(train_heads(features, manifest, preparation, long, RUNTIME, IDENTITY))
    state = dataset.load().states()["coarse_seed0"]
    stored = torch.cat([features.read(name)["features/features"] for name in features.parts])
    predicted = (stored @ state["weight"].T + state["bias"]).argmax(dim=1)
    groups = manifest.loc[manifest["image_set"] == "train", "class_name"].str.startswith("red")
    assert (predicted.numpy() == groups.astype(int).to_numpy()).mean() > 0.9


def test_stale_features_are_refused(
    features: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    changed = preparation | {"digests": preparation["digests"] | {"train": "other"}}
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_class\.training_features"):
        train_heads(features, manifest, changed, spec, RUNTIME, IDENTITY)


def test_planning_reads_no_image(
    manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr(Image, "open", refuse)
    plan_training_features(manifest, preparation, spec, RUNTIME)
    train_networks(manifest, preparation, model_spec(architecture="toy_network", training="network"), RUNTIME)


def test_whole_networks_are_trained_on_the_images(
    manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path
) -> None:
    scratch = model_spec(architecture="toy_network", training="network", epochs=2, labels=("fine",))
    plan = train_networks(manifest, preparation, scratch, RUNTIME)
    assert plan.key == model_key(Preparation.model_validate(preparation), scratch)
    assert plan.epochs == 2
    dataset = CheckpointDataset(filepath=str(tmp_path / "network"))
    dataset.save(plan)
    state = dataset.load().states()["fine_seed0"]
    assert {"backbone.0.weight", "head.weight"} <= state.keys()
    assert dataset.load().about["weights"] == "random initialisation"


def test_training_images_that_memory_does_not_hold_give_the_same_weights(
    manifest: pd.DataFrame, preparation: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = model_spec(architecture="toy_network", training="network", epochs=2, labels=("fine",))
    states = []
    for name, most in (("held", nodes.HELD_BYTES), ("streamed", 0)):
        monkeypatch.setattr(nodes, "HELD_BYTES", most)
        dataset = CheckpointDataset(filepath=str(tmp_path / name))
        dataset.save(train_networks(manifest, preparation, scratch, RUNTIME))
        states.append(dataset.load().states()["fine_seed0"])
    torch.testing.assert_close(states[1], states[0], rtol=0, atol=0)


PUBLISHED = {"training": "none", "labels": ("fine",)}


def test_published_weights_are_verified_and_not_trained(preparation: dict[str, Any], spec: ModelSpec) -> None:
    plan = verify_published(preparation, model_spec(**PUBLISHED))
    assert plan.epochs == 0
    assert list(plan.run(None)) == []
    assert plan.about["weights"] == "made up"


def test_published_weights_that_nobody_registered_a_digest_of_are_taken(
    preparation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(TOY, weights_digest=""))
    assert verify_published(preparation, model_spec(**PUBLISHED)).epochs == 0


def test_a_data_set_with_other_classes_than_the_published_head_is_refused(
    preparation: dict[str, Any], spec: ModelSpec
) -> None:
    fewer = preparation | {"classes": ["a", "b", "c"], "titles": ["a", "b", "c"]}
    with pytest.raises(ClassCountError, match="has 4 classes, but the data set has 3"):
        verify_published(fewer, model_spec(**PUBLISHED))


def test_weights_that_are_not_the_registered_ones_are_refused(
    preparation: dict[str, Any], spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(TOY, weights_digest="0123456789abcdef0123"))
    with pytest.raises(ValueError, match="registered is 0123456789abcdef0123"):
        verify_published(preparation, model_spec(**PUBLISHED))


def test_weights_of_a_file_become_the_model(preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path) -> None:
    given = spec.model_copy(update={"training": "none", "labels": ("fine",), "seeds": (0,), "weights": "checkpoint"})
    whole = Classifier(architecture("toy").build(False)[0], nn.Linear(5, len(CLASSES)))
    torch.save(
        {"state_dict": {f"module.{name}": each for name, each in whole.state_dict().items()}}, tmp_path / "a.pth"
    )
    file = ProvidedFileDataset(filepath=str(tmp_path / "a.pth")).load()
    record = preparation | {"checkpoint": file.sha256}
    store = CheckpointDataset(filepath=str(tmp_path / "model"))
    store.save(adopt_classifier(file, record, given))
    model = store.load()
    assert model.key == model_key(Preparation.model_validate(record), given)
    assert model.about["weights"] == "checkpoint"
    assert model.about["checkpoint"] == file.sha256
    stored = model.states()["fine_seed0"]
    assert all(stored[name].equal(each) for name, each in whole.state_dict().items())
    with pytest.raises(StaleProductError, match="is not the file that the data was prepared with"):
        adopt_classifier(file, preparation, given)


def test_the_training_run_has_a_curve_per_variant_and_quantity(
    model: StoredModel, preparation: dict[str, Any], spec: ModelSpec
) -> None:
    record = record_training(model, preparation, spec, IDENTITY)
    assert record.name == "multi_class.training"
    assert record.tags["kind"] == "training"
    assert record.tags["model_key"] == model.key
    assert record.curves.keys() == {
        f"{quantity}.{labels}_seed{seed}"
        for quantity in ("train_loss", "train_accuracy", "learning_rate")
        for labels in ("fine", "coarse")
        for seed in (0, 1)
    }
    rows = [row["train_loss"] for row in model.history if row["variant"] == "fine_seed1"]
    assert record.curves["train_loss.fine_seed1"] == rows
    assert record.metrics["training_seconds"] == pytest.approx(sum(row["seconds"] for row in model.history))
    assert all(isinstance(value, str | int | float | bool) or value is None for value in record.parameters.values())


def test_a_stale_model_has_no_training_run(model: StoredModel, preparation: dict[str, Any], spec: ModelSpec) -> None:
    with pytest.raises(StaleProductError, match=r"multi_class\.model is stale"):
        record_training(model, preparation, spec.model_copy(update={"epochs": 4}), IDENTITY)
