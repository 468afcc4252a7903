"""Multi-label images to a model: cached features, heads, whole networks, the best epoch, and resuming."""

import numpy as np
import pytest
import torch
from kedro.io.core import DatasetError
from label_toys import IDENTITY, RUNTIME, label_model_spec
from PIL import Image
from scaling_ood.label_preparation import label_model_key
from scaling_ood.pipelines.model_training.label_nodes import (
    plan_label_features,
    record_label_training,
    train_label_heads,
    train_label_networks,
)
from scaling_ood.plans import StaleProductError, TrainingPlan
from scaling_ood.preparation import Preparation
from sklearn.metrics import average_precision_score
from toy_benchmark import build_toy

from scaling_ood.datasets import CheckpointDataset
from scaling_ood.images.multi_label import targets
from scaling_ood.models import build_multilabel_head
from scaling_ood.pipelines.model_training import label_nodes
from scaling_ood.training.multilabel import MultiLabelRecipe

NETWORK = {"training": "network", "seeds": (0,), "epochs": 2, "backbone_learning_rate": 0.01}


def stored_features(features, image_set):
    shards = [name for name in features.parts if name.startswith(f"{image_set}-")]
    return torch.cat([features.read(name)["features/features"] for name in shards])


def test_features_are_the_published_backbones_of_the_images_to_learn_and_to_choose_on_in_order(
    features, manifest, preparation
):
    assert {name.rsplit("-", 1)[0] for name in features.parts} == {"train", "fit"}
    backbone = build_toy(True)[0].eval()
    for image_set in ("train", "fit"):
        rows = manifest[manifest["image_set"] == image_set]
        for row, feature in zip(rows.itertuples(), stored_features(features, image_set), strict=True):
            with Image.open(f"{preparation['folders']['coco']}/{row.path}") as image:
                # The registered preprocessing: the central 8 x 8 pixels of 10 x 12, mean = std = 0.5.
                pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
            expected = backbone(torch.from_numpy((pixels - 0.5) / 0.5)[None])[0]
            torch.testing.assert_close(feature, expected.detach(), rtol=1e-4, atol=1e-5)


def test_a_head_is_kept_of_every_seed_after_its_last_and_its_best_epoch(model):
    states = model.states()
    assert states.keys() == {f"fine_seed{seed}.{kept}" for seed in (0, 1) for kept in ("best", "last")}
    assert {tuple(state["output.weight"].shape) for state in states.values()} == {(3, 16)}
    assert not torch.equal(states["fine_seed0.best"]["output.weight"], states["fine_seed1.best"]["output.weight"])
    # Seed 1 has its highest mAP in the second epoch already.
    assert not torch.equal(states["fine_seed1.best"]["output.weight"], states["fine_seed1.last"]["output.weight"])
    assert [row["epoch"] for row in model.history] == [1, 2, 3, 4] * 2


@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_head_has_the_highest_map_of_the_fit_images(model, features, manifest, preparation, seed):
    rows = manifest[manifest["image_set"] == "fit"]
    present = targets(rows, preparation["classes"])
    head = build_multilabel_head("toy", 3, width=16)
    head.load_state_dict(model.states()[f"fine_seed{seed}.best"])
    logits = head.eval()(stored_features(features, "fit")).detach().numpy()
    expected = average_precision_score(present, logits, average="macro")
    reached = [row["validation_map"] for row in model.history if row["variant"] == f"fine_seed{seed}"]
    assert max(reached) == pytest.approx(expected, abs=1e-6)


def test_heads_learn_the_colours(features, manifest, preparation, spec, tmp_path):
    long = label_model_spec(seeds=(0,), epochs=60)
    dataset = CheckpointDataset(filepath=str(tmp_path / "long"))
    dataset.save(train_label_heads(features, manifest, preparation, long, RUNTIME, IDENTITY))
    history = dataset.load().history
    assert max(row["validation_map"] for row in history) > 0.9
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]


@pytest.mark.parametrize("epochs", [1, 4, 6])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    features, manifest, preparation, spec, model, tmp_path, epochs
):
    plan = train_label_heads(features, manifest, preparation, spec, RUNTIME, IDENTITY)
    dataset = CheckpointDataset(filepath=str(tmp_path / "model"))

    def killed(state):
        for number, after in enumerate(plan.run(state)):
            if number == epochs:
                raise RuntimeError("killed")
            yield after

    with pytest.raises(DatasetError, match="killed"):
        dataset.save(TrainingPlan(plan.key, plan.epochs, killed, plan.about))
    made = []

    def watched(state):
        for after in plan.run(state):
            made.append(after["history"][-1]["epoch"])
            yield after

    dataset.save(TrainingPlan(plan.key, plan.epochs, watched, plan.about))
    assert len(made) == 8 - epochs
    resumed, whole = dataset.load().states(), model.states()
    for name, state in whole.items():
        assert all(torch.equal(resumed[name][key], tensor) for key, tensor in state.items())


def test_stale_features_are_refused(features, manifest, preparation, spec):
    for image_set in ("train", "fit"):
        changed = preparation | {"digests": preparation["digests"] | {image_set: "other"}}
        with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_label\.training_features"):
            train_label_heads(features, manifest, changed, spec, RUNTIME, IDENTITY)


def test_planning_reads_no_image(manifest, preparation, spec, monkeypatch):
    def refuse(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr(Image, "open", refuse)
    plan_label_features(manifest, preparation, spec, RUNTIME)
    train_label_networks(manifest, preparation, label_model_spec(**NETWORK), RUNTIME)


def test_whole_networks_start_from_the_published_weights_and_keep_their_batch_norms(
    manifest, preparation, spec, tmp_path
):
    network = label_model_spec(**NETWORK)
    plan = train_label_networks(manifest, preparation, network, RUNTIME)
    assert plan.key == label_model_key(Preparation.model_validate(preparation), network)
    assert plan.epochs == 2
    dataset = CheckpointDataset(filepath=str(tmp_path / "network"))
    dataset.save(plan)
    state, published = dataset.load().states()["fine_seed0.last"], build_toy(True)[0].state_dict()
    moved = {name for name in published if not torch.equal(state[f"backbone.{name}"], published[name])}
    assert moved == {"0.weight", "0.bias"}
    # 20 images in steps of 6 make 3 steps of at most 0.01: nothing was drawn anew.
    torch.testing.assert_close(state["backbone.0.weight"], published["0.weight"], atol=0.07, rtol=0)
    assert dataset.load().about["weights"] == "made up"


def test_the_training_run_has_a_curve_per_seed_and_quantity(model, preparation, spec):
    record = record_label_training(model, preparation, spec, IDENTITY)
    assert record.name == "multi_label.training"
    assert (record.tags["kind"], record.tags["model_key"]) == ("training", model.key)
    assert record.curves.keys() == {
        f"{quantity}.fine_seed{seed}"
        for quantity in ("train_loss", "learning_rate", "validation_loss", "validation_map")
        for seed in (0, 1)
    }
    assert record.curves["validation_map.fine_seed1"] == [
        row["validation_map"] for row in model.history if row["variant"] == "fine_seed1"
    ]
    best = [max(record.curves[f"validation_map.fine_seed{seed}"]) for seed in (0, 1)]
    assert record.metrics["best_validation_map"] == pytest.approx(sum(best) / 2)
    assert record.metrics["training_seconds"] == pytest.approx(sum(row["seconds"] for row in model.history))
    assert all(isinstance(value, str | int | float | bool) or value is None for value in record.parameters.values())
    assert (record.parameters["train_images"], record.parameters["validation_images"]) == (20, 12)
    assert (record.parameters["classes"], record.parameters["dropout"]) == (3, 0.5)


def test_a_stale_model_has_no_training_run(model, preparation, spec):
    with pytest.raises(StaleProductError, match=r"multi_label\.model is stale"):
        record_label_training(model, preparation, spec.model_copy(update={"epochs": 5}), IDENTITY)


def test_every_option_of_the_recipe_reaches_the_training(features, manifest, preparation, spec, monkeypatch):
    seen = []

    def watched(build, sets, seeds, recipe, *_):
        seen.append((recipe, seeds))
        return iter(())

    monkeypatch.setattr(label_nodes, "train_multilabel", watched)
    given = {
        "epochs": 7,
        "batch_images": 5,
        "learning_rate": 0.2,
        "backbone_learning_rate": 0.3,
        "averaging": "trapezoid",
        "precision": "bf16",
    }
    model = label_model_spec(**given, seeds=(3, 1))
    assert list(train_label_heads(features, manifest, preparation, model, RUNTIME, IDENTITY).run(None)) == []
    assert seen == [(MultiLabelRecipe(**given), {"fine_seed3": 3, "fine_seed1": 1})]
