"""Networks that single detectors read: what they are trained on, what they leave, and who reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from PIL import Image
from pipelines_toys import EXTRACTION, IDENTITY, NETWORKS, RUNTIME
from scaling_ood.models.rotation import rotation_loss
from scaling_ood.networks import CONFIDENCE, ROTATION
from scaling_ood.pipelines.extraction import image_fields
from scaling_ood.plans import StaleProductError
from scaling_ood.preparation import Preparation, network_key
from toy_benchmark import build_toy, model_spec

from scaling_ood import structure
from scaling_ood.datasets import CheckpointDataset, ShardsDataset, StoredModel, StoredShards
from scaling_ood.models import build_two_headed
from scaling_ood.parameters.common import ReportingSpec
from scaling_ood.parameters.data_sets import DataSets, DataSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ModelSpec
from scaling_ood.pipelines import metric_reporting, model_training, score_extraction
from scaling_ood.pipelines.model_training import network_nodes as training
from scaling_ood.pipelines.score_extraction import network_nodes as extraction
from scaling_ood.pipelines.score_extraction.nodes import StoredOutputs, WrongModelError, fit_and_score, plan_outputs

READ: dict[str, Any] = {"msp": {}, "confidence_branch": {}, "rotation_msp": {}, "rotation_max_logit": {}}
LOSSES: dict[str, Any] = {"msp": {}, "rotation": {}, "rotation_msp": {}}
VARIANTS = {"fine_seed0": 4, "fine_seed1": 4, "coarse_seed0": 2, "coarse_seed1": 2}


@pytest.fixture(scope="module")
def turned_features(
    manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory
) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp("turned_features")))
    dataset.save(training.plan_turned_features(manifest, preparation, spec, RUNTIME))
    return dataset.load()


@pytest.fixture(scope="module")
def models(
    features: StoredShards,
    turned_features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, StoredModel]:
    rest = (manifest, preparation, spec, NETWORKS, RUNTIME, IDENTITY)
    plans = {
        CONFIDENCE: training.train_confidence_heads(features, *rest),
        ROTATION: training.train_rotation_heads(features, turned_features, *rest),
    }
    stored = {}
    for kind, plan in plans.items():
        dataset = CheckpointDataset(filepath=str(tmp_path_factory.mktemp(kind)))
        dataset.save(plan)
        stored[kind] = dataset.load()
    return stored


@pytest.fixture(scope="module")
def shared(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> StoredShards:
    dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp("shared")))
    dataset.save(plan_outputs(model, manifest, preparation, spec, EXTRACTION, READ, RUNTIME, IDENTITY))
    return dataset.load()


@pytest.fixture(scope="module")
def left(
    shared: StoredShards,
    models: dict[str, StoredModel],
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, StoredShards]:
    """Outputs of both kinds, of heads on stored features."""
    found = {}
    for kind, model in models.items():
        dataset = ShardsDataset(filepath=str(tmp_path_factory.mktemp(f"{kind}_outputs")))
        rest = (preparation, spec, NETWORKS, EXTRACTION, READ, IDENTITY, kind)
        dataset.save(extraction.plan_head_outputs(shared, model, *rest))
        found[kind] = dataset.load()
    return found


def network_inputs(manifest: pd.DataFrame, preparation: dict[str, Any], image_set: str) -> Iterator[torch.Tensor]:
    """Network input (1, 3, 8, 8) of each photograph, by hand."""
    for row in manifest[manifest["image_set"] == image_set].itertuples():
        with Image.open(f"{preparation['folders'][row.data_set]}/{row.path}") as image:
            pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
        yield torch.from_numpy((pixels - 0.5) / 0.5)[None]


def test_turned_features_are_the_backbones_of_the_training_images_turned(
    turned_features: StoredShards, features: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any]
) -> None:
    backbone = build_toy(True)[0].eval()
    images = list(network_inputs(manifest, preparation, "train"))
    assert turned_features.key != features.key
    for quarter in (1, 2, 3):
        blocks = [turned_features.read(name)[f"turned{90 * quarter}/features"] for name in turned_features.parts]
        expected = torch.cat([backbone(image.rot90(quarter, (2, 3))) for image in images])
        torch.testing.assert_close(torch.cat(blocks), expected.detach(), rtol=1e-4, atol=1e-5)


def test_there_are_networks_of_every_kind_of_labels_and_seed(models: dict[str, StoredModel]) -> None:
    shapes = {CONFIDENCE: (5, 1), ROTATION: (7, 4)}
    for kind, model in models.items():
        states = model.states()
        assert states.keys() == VARIANTS.keys()
        width, second = shapes[kind]
        for name, classes in VARIANTS.items():
            assert states[name]["head.weight"].shape == (classes, width)
            assert states[name]["second.weight"].shape == (second, width)
    assert models[ROTATION].states()["fine_seed0"]["hidden.0.weight"].shape == (7, 5)
    assert {"hint_price", "hint_weight"} <= models[CONFIDENCE].history[0].keys()
    assert "rotation_loss" in models[ROTATION].history[0]
    assert models[CONFIDENCE].about["confidence_branch.budget"] == 0.3
    assert models[ROTATION].about["rotation_network.width"] == 7


def test_rotations_are_learnt_from_the_features_in_their_order(
    features: StoredShards,
    turned_features: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
) -> None:
    plan = training.train_rotation_heads(
        features, turned_features, manifest, preparation, spec, NETWORKS, RUNTIME, IDENTITY
    )
    row = next(plan.run(None))["history"][0]
    others = [
        torch.cat([turned_features.read(name)[f"turned{degrees}/features"] for name in turned_features.parts])
        for degrees in (90, 180, 270)
    ]
    stored = [torch.cat([features.read(name)["features/features"] for name in features.parts]), *others]
    heads = build_two_headed("toy", "head", Preparation.model_validate(preparation).variants(spec)[0], 4, width=7)
    # The learning rate begins near 0: over one epoch of two steps the loss stays near that of the initial weights.
    expected = rotation_loss([heads.both(one).second for one in stored]).mean().item()
    assert row["rotation_loss"] == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("kind", [CONFIDENCE, ROTATION])
def test_heads_on_stored_features_leave_what_a_pass_over_the_images_leaves(
    left: dict[str, StoredShards],
    models: dict[str, StoredModel],
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    tmp_path: Path,
    kind: str,
) -> None:
    rest = (manifest, preparation, spec, NETWORKS, EXTRACTION, READ, RUNTIME, IDENTITY, kind)
    dataset = ShardsDataset(filepath=str(tmp_path / kind))
    dataset.save(extraction.plan_network_outputs(models[kind], *rest))
    passed = dataset.load()
    assert passed.key == left[kind].key
    assert list(passed.parts) == list(left[kind].parts)
    for name in passed.parts:
        one, other = passed.read(name), left[kind].read(name)
        assert one.keys() == other.keys()
        for field, tensor in one.items():
            torch.testing.assert_close(tensor, other[field], rtol=1e-4, atol=1e-5)
    fields = {field.split("/")[1] for field in one}
    assert fields == ({"logits", "confidence"} if kind == CONFIDENCE else {"logits"})


def test_the_rotation_loss_takes_all_four_rotations_of_each_image(
    models: dict[str, StoredModel], manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, tmp_path: Path
) -> None:
    rest = (manifest, preparation, spec, NETWORKS, EXTRACTION, LOSSES, RUNTIME, IDENTITY, ROTATION)
    dataset = ShardsDataset(filepath=str(tmp_path / "losses"))
    dataset.save(extraction.plan_network_outputs(models[ROTATION], *rest))
    variant = Preparation.model_validate(preparation).variants(spec)[1]
    heads = build_two_headed("toy", "head", variant, 4, width=7)
    heads.load_state_dict(models[ROTATION].states()[variant.name])
    backbone = build_toy(True)[0].eval()
    expected = []
    with torch.no_grad():
        for image in network_inputs(manifest, preparation, "greens"):
            turns = [heads.both(backbone(image.rot90(quarter, (2, 3)))).second for quarter in range(4)]
            expected.append(rotation_loss(turns).item())
    chunks = list(StoredOutputs(dataset.load(), "greens", variant.name))
    found = torch.cat([chunk.rotation_loss for chunk in chunks if chunk.rotation_loss is not None])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert image_fields(LOSSES, "head") == ["logits"]  # the images are passed over again: no feature is needed


def test_accuracy_is_that_of_the_network_beside_the_classifiers(
    left: dict[str, StoredShards],
    accuracy: dict[str, Any],
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
) -> None:
    rest = (accuracy, manifest, preparation, spec)
    found = extraction.check_network_accuracy(left[ROTATION], *rest, NETWORKS, IDENTITY, ROTATION)
    for variant in VARIANTS:
        right = 0
        for image_set in ("fit", "test"):
            labels = manifest.loc[manifest["image_set"] == image_set, "label"].to_numpy()
            logits = torch.cat([chunk.logits for chunk in StoredOutputs(left[ROTATION], image_set, variant)])
            right += (logits.argmax(dim=1).numpy() == (labels if variant[0] == "f" else labels // 2)).sum()
        assert found["top1"][variant] == pytest.approx(right / 32)
    assert found["classifier_top1"] == accuracy["top1"]
    worst = min(found["top1"]["fine_seed0"], found["top1"]["fine_seed1"])
    strict = ClassifierNetworksSpec.model_validate({"rotation_network": {"width": 7, "least_top1": worst + 0.001}})
    with pytest.raises(WrongModelError, match=r"networks\.rotation_network\.least_top1"):
        extraction.check_network_accuracy(left[ROTATION], *rest, strict, IDENTITY, ROTATION)
    least = spec.model_copy(update={"least_top1": worst + 0.001})
    with pytest.raises(WrongModelError, match=rf"{worst:.1%} on 32 .* under the {worst + 0.001:.1%}"):
        extraction.check_network_accuracy(left[ROTATION], *rest[:-1], least, NETWORKS, IDENTITY, ROTATION)


@pytest.fixture
def score(left: dict[str, StoredShards], manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec) -> Any:
    def run(detector: str, kind: str, **changes: Any) -> Any:
        given: dict[str, Any] = {
            "outputs": left[kind],
            "accuracy": {},
            "manifest": manifest,
            "preparation": preparation,
            "spec": spec,
            "networks": NETWORKS,
            "extraction": EXTRACTION,
            "detectors": READ,
            "identity": IDENTITY,
            "options": {},
            "detector": detector,
        }
        return fit_and_score(**(given | changes))

    return run


def test_scores_are_made_of_the_outputs_of_the_network(score: Any, left: dict[str, StoredShards]) -> None:
    rules: dict[str, Any] = {
        "confidence_branch": (CONFIDENCE, lambda chunk: -chunk.confidence),
        "rotation_msp": (ROTATION, lambda chunk: -chunk.logits.double().log_softmax(dim=1).amax(dim=1)),
        "rotation_max_logit": (ROTATION, lambda chunk: -chunk.logits.amax(dim=1)),
    }
    for detector, (kind, rule) in rules.items():
        scores = score(detector, kind)
        for seed in (0, 1):
            for image_set, values in scores.of("fine", seed).items():
                chunks = StoredOutputs(left[kind], image_set, f"fine_seed{seed}")
                expected = torch.cat([rule(chunk) for chunk in chunks])
                np.testing.assert_allclose(values, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_outputs_of_networks_with_other_options_are_refused_and_those_of_the_classifiers_stay(
    score: Any, shared: StoredShards
) -> None:
    changed = ClassifierNetworksSpec.model_validate({"rotation_network": {"width": 7, "weight": 0.5}})
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_class\.rotation_network\.outputs"):
        score("rotation_msp", ROTATION, networks=changed)
    score("confidence_branch", CONFIDENCE, networks=changed)
    score("msp", CONFIDENCE, outputs=shared, networks=changed)


def test_heads_are_refused_on_stale_features_or_with_a_stale_model(
    shared: StoredShards, models: dict[str, StoredModel], preparation: dict[str, Any], spec: ModelSpec
) -> None:
    rest: tuple[Any, ...] = (EXTRACTION, READ, IDENTITY, CONFIDENCE)
    other = preparation | {"digests": preparation["digests"] | {"greens": "other"}}
    with pytest.raises(StaleProductError, match=r"multi_class\.outputs is stale"):
        extraction.plan_head_outputs(shared, models[CONFIDENCE], other, spec, NETWORKS, *rest)
    changed = ClassifierNetworksSpec.model_validate({"confidence_branch": {"budget": 0.4}})
    with pytest.raises(StaleProductError, match=r"multi_class\.confidence_branch\.model is stale"):
        extraction.plan_head_outputs(shared, models[CONFIDENCE], preparation, spec, changed, *rest)


def test_where_nothing_is_trained_the_detectors_are_named_gaps(
    score: Any, model: StoredModel, manifest: pd.DataFrame, preparation: dict[str, Any], tmp_path: Path, spec: ModelSpec
) -> None:
    published = model_spec(training="none", labels=("fine",))
    untrained = preparation | {
        "images": {name: count for name, count in preparation["images"].items() if name != "train"}
    }
    key = network_key(Preparation.model_validate(untrained), published, NETWORKS, "")
    taken = StoredModel(key, {}, [], model.path, model.sha256)
    dataset = ShardsDataset(filepath=str(tmp_path / "published"))
    dataset.save(plan_outputs(taken, manifest, untrained, published, EXTRACTION, READ, RUNTIME, IDENTITY))
    assert image_fields(READ, "none") == ["logits"]
    for detector in ("confidence_branch", "rotation_msp", "rotation_max_logit"):
        scores = score(detector, ROTATION, outputs=dataset.load(), spec=published, preparation=untrained)
        assert scores.frame.empty
        assert scores.gaps["fine"].startswith("not applicable: its network (")
        assert "this benchmark trains none" in scores.gaps["fine"]


def test_a_key_depends_on_what_the_networks_are_trained_with(preparation: dict[str, Any], spec: ModelSpec) -> None:
    prepared = Preparation.model_validate(preparation)
    scratch = model_spec(architecture="toy_network", training="network")

    def key(model: ModelSpec, kind: str, **options: Any) -> str:
        return network_key(prepared, model, ClassifierNetworksSpec.model_validate({kind: options}), kind)

    assert len({key(spec, ROTATION), key(spec, CONFIDENCE), key(scratch, ROTATION)}) == 3
    assert key(spec, ROTATION) != key(spec, ROTATION, width=9)
    assert key(scratch, ROTATION) == key(scratch, ROTATION, width=9)
    assert key(spec, ROTATION) != key(spec, ROTATION, weight=0.5)
    assert key(spec, CONFIDENCE) != key(spec, CONFIDENCE, price_weight=0.2)
    assert key(spec, CONFIDENCE) == key(spec, CONFIDENCE, least_top1=0.2)


class Kept(MemoryDataset):
    """Stays in the catalog after the run."""

    def release(self) -> None:
        """Keep it."""


@pytest.mark.parametrize("how", ["head", "network"])
def test_the_stages_from_manifest_to_report_run_with_networks_of_both_kinds(
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    data: DataSpec,
    data_sets: DataSets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    trained = spec if how == "head" else model_spec(architecture="toy_network", training="network", epochs=1)
    parts: dict[str, Any] = {
        "identity": IDENTITY,
        "model": trained,
        "networks": NETWORKS,
        "extraction": EXTRACTION,
        "reporting": ReportingSpec(),
    }
    setting = {name: part.model_dump() for name, part in (parts | {"data_sets": data_sets, "data": data}).items()}
    setting["detectors"] = READ
    monkeypatch.setattr(structure, "_bound", {"parameters": {"multi_class": setting, "runtime": RUNTIME.model_dump()}})
    stages = (model_training, score_extraction, metric_reporting)
    graph = sum((stage.create_pipeline() for stage in stages[1:]), stages[0].create_pipeline())
    given = {f"params:multi_class.{name}": part for name, part in parts.items()} | {
        "multi_class.manifest": manifest,
        "multi_class.preparation": preparation,
        "params:runtime": RUNTIME,
        "params:multi_class.detectors": READ,
        **{f"params:multi_class.detectors.{name}": options for name, options in READ.items()},
    }
    assert graph.inputs() == given.keys()

    def product(name: str) -> Any:
        place = str(tmp_path / name)
        if name.endswith((".outputs", "features")):
            return ShardsDataset(filepath=place)
        return CheckpointDataset(filepath=place) if name.endswith(".model") else Kept(copy_mode="assign")

    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()}
        | {name: product(name) for name in graph.all_outputs()}
    )
    # A tracked run is a record on the way in, and what was logged of it on the way out.
    for name in graph.all_outputs():
        if name.endswith("training_run"):
            catalog[name] = Logged(copy_mode="assign")
    SequentialRunner().run(graph, catalog)

    results = catalog["multi_class.results"].load()
    assert results.loc[results["ood_set"] == "mean", "auroc"].between(0, 1).all()
    assert list(dict.fromkeys(results["detector"])) == list(READ)
    top1 = {kind: catalog[f"multi_class.{kind}.accuracy"].load() for kind in (CONFIDENCE, ROTATION)}
    for detector, kind in (("confidence_branch", CONFIDENCE), ("rotation_msp", ROTATION)):
        record = catalog[f"multi_class.{detector}.run"].load()
        means = {
            name: np.mean([top1[kind][name][f"fine_seed{seed}"] for seed in trained.seeds])
            for name in ("top1", "classifier_top1")
        }
        assert {name: record.metrics[name] for name in means} == pytest.approx(means)
        assert record.tags["network"] == kind
        assert record.tags["training_run"] == f"run of multi_class.{kind}.training"
    assert "network" not in catalog["multi_class.msp.run"].load().tags
    report = catalog["multi_class.report"].load()
    assert "Networks of single detectors" in report
    assert f"the classifier&#39;s is {means['classifier_top1']:.1%}" in report.replace("'", "&#39;")


class Logged(Kept):
    """What was logged of a record."""

    def load(self) -> dict[str, Any]:
        """Its run's id."""
        return {"run_id": f"run of {super().load().name}"}
