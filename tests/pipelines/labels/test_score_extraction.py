"""Multi-label outputs, mAP and scores: right numbers, right images, and refusal of what means nothing."""

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import DatasetError
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from label_toys import DETECTORS, EXTRACTION, IDENTITY, RUNTIME, label_model_spec
from PIL import Image
from scaling_ood.pipelines.extraction import fields_for
from scaling_ood.pipelines.model_training.label_nodes import train_label_networks
from scaling_ood.pipelines.score_extraction.label_nodes import (
    LABEL_MADE,
    check_map,
    fit_and_score_labels,
    plan_label_outputs,
)
from scaling_ood.plans import Plan, StaleProductError
from scipy.special import expit, log_softmax
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score
from sklearn.neighbors import LocalOutlierFactor
from toy_benchmark import build_toy

from scaling_ood.datasets import CheckpointDataset, ShardsDataset
from scaling_ood.images.multi_label import targets
from scaling_ood.models import build_multilabel_head
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.multi_label import LabelExtractionSpec
from scaling_ood.pipelines.score_extraction import label_nodes
from scaling_ood.pipelines.score_extraction.nodes import WrongModelError

SETS = ("fit", "test", "wild", "static")
SEEDS = (0, 1)


def stored(outputs, image_set, field, seed=0):
    shards = [name for name in outputs.parts if name.startswith(f"{image_set}-")]
    return torch.cat([outputs.read(name)[f"fine_seed{seed}/{field}"] for name in shards])


def head_of(model, seed, kept="best"):
    head = build_multilabel_head("toy", 3, width=16)
    head.load_state_dict(model.states()[f"fine_seed{seed}.{kept}"])
    return head.eval().requires_grad_(False)


def test_outputs_of_every_network_are_there_for_every_image(outputs, preparation):
    for image_set in SETS:
        images = preparation["images"][image_set]
        for seed in SEEDS:
            assert stored(outputs, image_set, "logits", seed).shape == (images, 3)
            assert stored(outputs, image_set, "features", seed).shape == (images, 16)
            assert stored(outputs, image_set, "posterior_variance", seed).shape == (images,)
    assert (outputs.about["device"], outputs.about["precision"]) == ("cpu", "float32")


@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_are_those_of_backbone_and_best_head_on_the_image_of_the_same_row(
    outputs, model, manifest, preparation, seed
):
    backbone, head = build_toy(True)[0].eval(), head_of(model, seed)
    rows = manifest[manifest["image_set"] == "test"]
    made = zip(stored(outputs, "test", "features", seed), stored(outputs, "test", "logits", seed), strict=True)
    for row, (hidden, logits) in zip(rows.itertuples(), made, strict=True):
        with Image.open(f"{preparation['folders']['coco']}/{row.path}") as image:
            pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
        features = backbone(torch.from_numpy((pixels - 0.5) / 0.5)[None])
        torch.testing.assert_close(hidden, head.hidden(features)[0], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(logits, head.output(head.hidden(features))[0], rtol=1e-3, atol=1e-4)


def test_the_variance_under_dropout_is_that_of_a_loop_over_the_masks(outputs, model):
    head, hidden = head_of(model, 1), stored(outputs, "wild", "features", 1)
    generator = torch.Generator().manual_seed(3)
    posteriors = []
    for _ in range(4):
        mask = (torch.rand(16, generator=generator) < 0.5).float() * 2
        logits = (hidden * mask) @ head.output.weight.T + head.output.bias
        posteriors.append(expit(logits.double().numpy()))
    assert not np.allclose(posteriors[0], posteriors[1])
    expected = np.var(posteriors, axis=0).mean(axis=1)
    np.testing.assert_allclose(stored(outputs, "wild", "posterior_variance", 1), expected, rtol=1e-4, atol=1e-7)


def test_batches_workers_and_shards_change_no_output(outputs, model, manifest, preparation, spec, make_outputs):
    runtime = RuntimeSpec(device="cpu", batch_images=3, workers=0, channels_last=True)
    assert make_outputs(model, manifest, preparation, spec, runtime=runtime).key == outputs.key
    larger = EXTRACTION.model_copy(update={"shard_images": 9})
    other = make_outputs(model, manifest, preparation, spec, extraction=larger, runtime=runtime)
    for image_set in SETS:
        for field in ("logits", "features", "posterior_variance"):
            torch.testing.assert_close(
                stored(other, image_set, field), stored(outputs, image_set, field), rtol=1e-4, atol=1e-5
            )


def test_a_killed_extraction_goes_on_with_what_is_missing(outputs, model, manifest, preparation, spec, tmp_path):
    plan = plan_label_outputs(model, manifest, preparation, spec, EXTRACTION, DETECTORS, RUNTIME, IDENTITY)
    dataset = ShardsDataset(filepath=str(tmp_path / "outputs"))
    asked = []

    def watched(missing, most=None):
        asked.append([part.name for part in missing])
        for number, made in enumerate(plan.produce(missing)):
            if number == most:
                raise RuntimeError("killed")
            yield made

    with pytest.raises(DatasetError, match="killed"):
        dataset.save(Plan(plan.key, plan.parts, lambda missing: watched(missing, 4), plan.about))
    with pytest.raises(DatasetError, match="not finished"):
        dataset.load()
    dataset.save(Plan(plan.key, plan.parts, watched, plan.about))
    assert asked == [[part.name for part in plan.parts], [part.name for part in plan.parts[4:]]]
    resumed = dataset.load()
    for image_set in SETS:
        torch.testing.assert_close(stored(resumed, image_set, "logits"), stored(outputs, image_set, "logits"))


def test_a_stale_model_is_refused(model, manifest, preparation, spec):
    other = spec.model_copy(update={"dropout": 0.25})
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_label\.model"):
        plan_label_outputs(model, manifest, preparation, other, EXTRACTION, DETECTORS, RUNTIME, IDENTITY)


def test_networks_that_were_trained_as_a_whole_are_used_as_they_are(
    manifest, preparation, spec, make_outputs, tmp_path
):
    network = label_model_spec(training="network", seeds=(0,), epochs=1, backbone_learning_rate=0.01)
    dataset = CheckpointDataset(filepath=str(tmp_path / "network"))
    dataset.save(train_label_networks(manifest, preparation, network, RUNTIME))
    outputs = make_outputs(dataset.load(), manifest, preparation, network)
    state = dataset.load().states()["fine_seed0.best"]
    backbone = build_toy(False)[0]
    backbone.load_state_dict({k.removeprefix("backbone."): t for k, t in state.items() if k.startswith("backbone.")})
    head = build_multilabel_head("toy", 3, width=16)
    head.load_state_dict({k.removeprefix("head."): t for k, t in state.items() if k.startswith("head.")})
    row = manifest[manifest["image_set"] == "test"].iloc[0]
    with Image.open(f"{preparation['folders']['coco']}/{row['path']}") as image:
        pixels = np.asarray(image, dtype=np.float32)[1:9, 2:10].transpose(2, 0, 1) / 255
    expected = head.eval()(backbone.eval()(torch.from_numpy((pixels - 0.5) / 0.5)[None]))[0].detach()
    torch.testing.assert_close(stored(outputs, "test", "logits")[0], expected, rtol=1e-3, atol=1e-4)


def average_precisions(outputs, manifest, preparation, image_set):
    """Mean over the classes, of each seed, by scikit-learn."""
    present = targets(manifest[manifest["image_set"] == image_set], preparation["classes"])
    return [
        average_precision_score(present, stored(outputs, image_set, "logits", seed).numpy(), average="macro")
        for seed in SEEDS
    ]


def test_the_map_is_scikit_learns_on_fit_and_test_images(accuracy, outputs, manifest, preparation):
    for image_set in ("fit", "test"):
        expected = np.mean(average_precisions(outputs, manifest, preparation, image_set))
        assert accuracy["by_set"][image_set] == pytest.approx(expected, abs=1e-9)
    assert accuracy["by_set"]["fit"] != accuracy["by_set"]["test"]
    assert (accuracy["map"], accuracy["judged_on"]) == (accuracy["by_set"]["test"], "test")
    assert accuracy["images"] == {"fit": 12, "test": 13}


def test_the_trapezoid_rule_is_the_area_under_the_lines(outputs, manifest, preparation, spec):
    trapezoid = check_map(outputs, manifest, preparation, spec.model_copy(update={"averaging": "trapezoid"}), IDENTITY)
    present = targets(manifest[manifest["image_set"] == "test"], preparation["classes"]).astype(bool)
    areas = []
    for seed in SEEDS:
        logits = stored(outputs, "test", "logits", seed).numpy()
        for shown, score in zip(present.T, logits.T, strict=True):
            hits = np.cumsum(shown[np.argsort(-score, kind="stable")])
            assert len(set(score)) == len(score)  # no ties, or the order would matter
            precision, recall = hits / np.arange(1, len(hits) + 1), hits / hits[-1]
            areas.append(np.trapezoid([1.0, *precision], [0.0, *recall]))
    assert trapezoid["averaging"] == "trapezoid"
    assert trapezoid["map"] == pytest.approx(np.mean(areas), abs=1e-6)


def test_unlabelled_test_images_are_left_out_of_the_map(accuracy, outputs, manifest, preparation, spec):
    partly = manifest.copy()
    test = partly.index[partly["image_set"] == "test"]
    partly.loc[test[:4], "labels"] = None
    found = check_map(outputs, partly, preparation, spec, IDENTITY)
    assert found["images"] == {"fit": 12, "test": 9}
    present = targets(manifest.loc[test[4:]], preparation["classes"])
    expected = [
        average_precision_score(present, stored(outputs, "test", "logits", seed)[4:], average="macro") for seed in SEEDS
    ]
    assert found["map"] == pytest.approx(np.mean(expected), abs=1e-9)
    partly.loc[test, "labels"] = None
    found = check_map(outputs, partly, preparation, spec, IDENTITY)
    assert (found["judged_on"], found["map"], list(found["by_set"])) == ("fit", accuracy["by_set"]["fit"], ["fit"])


def test_a_challenge_without_public_labels_is_scored_and_its_map_is_that_of_the_fit_images(
    unlabelled, spec, make_model, make_outputs
):
    manifest, _, preparation = unlabelled
    outputs = make_outputs(make_model(manifest, preparation, spec), manifest, preparation, spec)
    accuracy = check_map(outputs, manifest, preparation, spec, IDENTITY)
    assert (accuracy["judged_on"], accuracy["images"]) == ("fit", {"fit": 25})
    scores = fit_and_score_labels(
        outputs, accuracy, manifest, preparation, spec, EXTRACTION, DETECTORS, IDENTITY, {}, "max_logit"
    )
    assert scores.frame.groupby("image_set").size().to_dict() == {"test": 12, "wild": 16, "static": 12}


def test_a_model_below_the_least_map_of_any_seed_is_refused_with_both_numbers(outputs, manifest, preparation, spec):
    worst = min(average_precisions(outputs, manifest, preparation, "test"))
    check_map(outputs, manifest, preparation, spec.model_copy(update={"least_map": worst - 1e-6}), IDENTITY)
    strict = spec.model_copy(update={"least_map": worst + 0.001})
    with pytest.raises(WrongModelError) as caught:
        check_map(outputs, manifest, preparation, strict, IDENTITY)
    assert str(caught.value) == (
        f"multi_label: mAP {worst:.1%} on 13 test images is under the {worst + 0.001:.1%} that is asked for "
        "(model.least_map): check weights, preprocessing and annotations"
    )


FORMULAS = {
    "max_logit": lambda logits: -logits.max(axis=1),
    "msp": lambda logits: -log_softmax(logits, axis=1).max(axis=1),
    "logit_avg": lambda logits: -logits.mean(axis=1),
    "energy": lambda logits: -np.log(np.exp(logits).sum(axis=1)),
    "joint_energy": lambda logits: -np.log1p(np.exp(logits)).sum(axis=1),
}


@pytest.mark.parametrize("detector", FORMULAS)
def test_scores_are_those_of_the_formula_in_the_order_of_the_manifest(score, outputs, manifest, detector):
    frame = score(detector).frame
    assert set(frame["labels"]) == {"fine"}
    for seed in SEEDS:
        for image_set in SETS[1:]:
            own = frame[(frame["seed"] == seed) & (frame["image_set"] == image_set)]
            assert list(own["id"]) == list(manifest.loc[manifest["image_set"] == image_set, "id"])
            expected = FORMULAS[detector](stored(outputs, image_set, "logits", seed).double().numpy())
            np.testing.assert_allclose(own["score"], expected, rtol=1e-6, atol=1e-9)


def test_mc_dropout_scores_the_stored_variance(score, outputs):
    frame = score("mc_dropout").frame
    own = frame[(frame["seed"] == 1) & (frame["image_set"] == "test")]
    np.testing.assert_array_equal(own["score"], stored(outputs, "test", "posterior_variance", 1).double())


ESTIMATORS = {
    "isolation_forest": lambda: IsolationForest(n_estimators=10, random_state=0),
    "local_outlier_factor": lambda: LocalOutlierFactor(n_neighbors=3, novelty=True),
}


@pytest.mark.parametrize("detector", ESTIMATORS)
@pytest.mark.parametrize("on", ["features", "logits"])
def test_novelty_is_fitted_on_the_fit_images_alone_and_comes_out_the_same_twice(score, outputs, detector, on):
    options = {**DETECTORS[detector], "on": on}
    first, again = (score(detector, options=options).frame for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    for seed in SEEDS:
        estimator = ESTIMATORS[detector]().fit(stored(outputs, "fit", on, seed).numpy())
        own = first[(first["seed"] == seed) & (first["image_set"] == "wild")]
        expected = -estimator.score_samples(stored(outputs, "wild", on, seed).numpy())
        np.testing.assert_allclose(own["score"], expected, rtol=1e-5)


def test_every_detector_scores_the_identical_images_and_none_that_anything_was_learnt_on(score, manifest):
    columns = ["id", "image_set", "labels", "seed"]
    reference = score("max_logit").frame[columns]
    for detector in DETECTORS:
        pd.testing.assert_frame_equal(score(detector).frame[columns], reference)
    learnt = set(manifest.loc[manifest["image_set"].isin(["train", "fit"]), "id"])
    assert not learnt & set(reference["id"])
    assert len(reference) == 2 * (13 + 8 + 6)


@pytest.mark.parametrize("image_set", ["train", *SETS])
def test_outputs_of_other_images_are_refused(score, preparation, image_set):
    changed = preparation | {"digests": preparation["digests"] | {image_set: "other"}}
    with pytest.raises(StaleProductError, match=r"kedro run --to-outputs multi_label\.outputs"):
        score("msp", preparation=changed)


@pytest.mark.parametrize("change", [{"dropout_passes": 5}, {"dropout_seed": 4}, {"precision": "bf16"}])
def test_outputs_of_another_extraction_are_refused(score, change):
    other = LabelExtractionSpec.model_validate(EXTRACTION.model_dump() | change)
    with pytest.raises(StaleProductError, match=r"multi_label\.outputs is stale"):
        score("mc_dropout", extraction=other)


def test_fields_are_stored_that_a_detector_reads():
    assert fields_for({"max_logit": {}, "mc_dropout": False}, LABEL_MADE) == ["logits"]
    assert fields_for({"mc_dropout": {}}, LABEL_MADE) == ["logits", "posterior_variance"]
    assert fields_for({"local_outlier_factor": {}}, LABEL_MADE) == ["features", "logits"]
    assert fields_for({"local_outlier_factor": {"on": "logits"}}, LABEL_MADE) == ["logits"]


def test_without_mc_dropout_no_pass_is_repeated(model, manifest, preparation, spec, make_outputs, monkeypatch):
    monkeypatch.setattr("scaling_ood.pipelines.extraction.posterior_variance", None)
    outputs = make_outputs(model, manifest, preparation, spec, detectors={"max_logit": {}})
    assert outputs.read("test-00000").keys() == {"fine_seed0/logits", "fine_seed1/logits"}


@pytest.mark.parametrize(
    ("detector", "options", "reason"),
    [
        ("local_outlier_factor", {}, "too few fit images (12; at least 21)"),
        ("mahalanobis", {}, "the classes of the fit images are not known"),
        ("vim", {}, "the classifier's last linear layer is not known"),
        ("odin", {}, "no pipeline of this setting makes its odin_logits yet"),
        ("confidence_branch", {}, "no pipeline of this setting makes its confidence yet"),
    ],
)
def test_a_detector_without_meaning_is_a_named_gap(score, detector, options, reason):
    scores = score(detector, options=options)
    assert scores.gaps == {"fine": f"not applicable: {reason}"}
    assert scores.frame.empty
    assert list(scores.frame.columns) == ["id", "score", "image_set", "labels", "seed"]


@pytest.fixture
def catalog(model, manifest, preparation, tmp_path):
    given = {
        "model": model,
        "manifest": manifest,
        "preparation": preparation,
        "params:extraction": EXTRACTION,
        "params:detectors": DETECTORS,
        "params:runtime": RUNTIME,
        "params:identity": IDENTITY,
        "params:options": {"trees": 10},
        "params:detector": "isolation_forest",
    }
    return DataCatalog(
        {
            **{name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()},
            "outputs": ShardsDataset(filepath=str(tmp_path / "slice")),
            "accuracy": MemoryDataset(),
            "scores": MemoryDataset(copy_mode="assign"),
        }
    )


def graph():
    shared = ["manifest", "preparation", "params:model"]
    extraction = ["model", *shared, "params:extraction", "params:detectors", "params:runtime", "params:identity"]
    scoring = ["outputs", "accuracy", *shared, "params:extraction", "params:detectors", "params:identity"]
    return Pipeline(
        [
            Node(plan_label_outputs, extraction, "outputs", name="extract"),
            Node(check_map, ["outputs", *shared, "params:identity"], "accuracy", name="check"),
            Node(
                label_nodes.fit_and_score_labels,
                [*scoring, "params:options", "params:detector"],
                "scores",
                name="score",
            ),
        ]
    )


def test_the_slice_from_model_to_scores_runs_and_a_second_run_computes_nothing(catalog, spec, monkeypatch):
    catalog["params:model"] = MemoryDataset(spec)
    SequentialRunner().run(graph(), catalog)
    first = catalog["scores"].load().frame
    assert len(first) == 2 * 27

    def refuse(*_, **__):
        raise AssertionError("the network was assembled again")

    monkeypatch.setattr(label_nodes, "assemble_multilabel", refuse)
    SequentialRunner().run(graph(), catalog)
    pd.testing.assert_frame_equal(catalog["scores"].load().frame, first)


def test_a_wrong_model_ends_the_run_before_any_score(catalog, spec, monkeypatch):
    scored = []
    monkeypatch.setattr(label_nodes, "fit_variants", lambda *given: scored.append(given))
    catalog["params:model"] = MemoryDataset(spec.model_copy(update={"least_map": 1.0}))
    with pytest.raises(WrongModelError, match=r"model\.least_map"):
        SequentialRunner().run(graph(), catalog)
    assert not scored


def test_test_labels_that_contradict_the_fit_images_are_told_with_both_numbers(
    accuracy, outputs, manifest, preparation, spec, caplog
):
    assert accuracy["warning"] == ""
    swapped = manifest.copy()
    test = swapped.index[swapped["image_set"] == "test"]
    shown = targets(swapped.loc[test], preparation["classes"])
    best = np.mean([stored(outputs, "test", "logits", seed).numpy() for seed in SEEDS], axis=0)
    # Each class is said to be only in the image that the networks find it least in.
    swapped.loc[test, "labels"] = ""
    for index in range(shown.shape[1]):
        swapped.loc[test[best[:, index].argmin()], "labels"] = str(index)
    found = check_map(outputs, swapped, preparation, spec, IDENTITY)
    told = f"mAP {found['by_set']['test']:.1%} on test, {found['by_set']['fit']:.1%} on the fit images"
    assert told in found["warning"]
    assert found["warning"] in caplog.text
