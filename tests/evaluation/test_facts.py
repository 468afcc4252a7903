"""What stands beside every number, the paper's Figure 3 as an experiment, and images of low confidence."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.fabricated_scores import prepared

from scaling_ood.evaluation.examples import low_confidence_examples
from scaling_ood.evaluation.facts import (
    convention_facts,
    data_facts,
    extraction_facts,
    network_facts,
    other_network_facts,
    rendered_caveats,
    training_run,
)
from scaling_ood.evaluation.figures import score_figures
from scaling_ood.evaluation.granularity import dispersal_by_targets, methods_by_targets
from scaling_ood.products.records import METRICS


@pytest.fixture
def own(benches):
    return benches("multi_class")


def test_facts_name_data_weights_preprocessing_and_conventions(own):
    record = own.manifest.preparation
    data = data_facts(record)
    assert record.digests["test"] in str(data)
    assert data["Noise raw_static"] == "recipe rademacher, seed 0, noise_range tensor"
    assert data["Images with an EXIF orientation"] == "none"
    network = network_facts(own.outputs(), own.load("classifier.quality"))
    assert network["Weights"] == "made up; frozen, a head trained here"
    assert network["Input"].startswith("resize 10 px, centre crop 8 px (bilinear), mean (0.5, 0.5, 0.5)")
    assert network["Seeds"] == "0, 1"
    assert "top-1 accuracy" in network["On the test images"]
    assert extraction_facts(own.outputs())["Device"] == "cpu"
    assert convention_facts(own.spec.reporting, dense=False)["Positive class"] == "ood"
    assert convention_facts(own.spec.reporting, dense=True)["pooled"] == "all pixels together, exact"


def test_the_other_networks_are_told_with_their_quality(own):
    scores = [own.load(f"{name}.scores") for name in ("msp", "rotation_msp", "confidence_branch")]
    (told,) = other_network_facts(scores, "classifier").values()
    assert list(told) == ["rotation", "confidence_branch"]
    assert told["rotation"].startswith(f"top-1 accuracy {own.load('rotation.quality').value:.1%}; made up")
    assert other_network_facts(scores[:1], "classifier") == {}


def test_rendered_images_bring_a_caveat_by_themselves():
    assert rendered_caveats(prepared()) == ()
    rendered = {"squares": {"root": "fabricated", "folder": "in_dist"}}
    assert "rendered" in rendered_caveats(prepared(places=rendered))[0]


def test_the_best_epoch_or_the_last_is_what_a_training_run_tells(own):
    rows = [("seed0", 0.5), ("seed0", 0.4), ("seed1", 0.3), ("seed1", 0.6)]
    history = [{"variant": name, "epoch": 1, "seconds": 2.0, "validation_map": value} for name, value in rows]
    for which, expected in (("validation", 0.55), ("last", 0.5)):
        model = replace(own.model(), history=history, about={**own.model().about, "best_epoch": which})
        run = training_run("classifier", model, "toy", "multi_label", "validation_map")
        name = "last" if which == "last" else "best"
        assert run.metrics == {"training_seconds": 8.0, f"{name}_validation_map": pytest.approx(expected)}


def test_figures_show_the_first_seed_of_what_is_no_gap(own):
    scores = [own.load(f"{name}.scores") for name in ("msp", "autoencoder")]
    figures = score_figures(scores, own.manifest.preparation, own.spec.reporting)
    shown = {trace.name for trace in figures["roc_curves"].data if trace.name}
    assert any("msp" in name for name in shown)
    assert not any("autoencoder" in name for name in shown)
    assert len(figures["score_histograms"].data) > 0


def test_examples_are_the_least_certain_test_images_one_per_class(own):
    top = own.output("test").double().softmax(dim=1).amax(dim=1).numpy()
    rows = own.manifest.of("test").assign(top=top)
    least = rows.sort_values("top").drop_duplicates("class_name").head(3)
    examples = low_confidence_examples(own.outputs(), own.manifest, 3)
    titles = own.manifest.preparation.of_classes.titles
    assert [example.true_class for example in examples] == [titles[label] for label in least["label"]]
    for example, expected in zip(examples, least["top"], strict=True):
        assert example.top_probabilities[0][1] == pytest.approx(expected)
        values = [value for _, value in example.top_probabilities]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1.0)
        assert [name for name, _ in example.top_logits] == [name for name, _ in example.top_probabilities]
        assert set(example.groups.values()) == {"blue", "red"}


def test_dispersal_is_the_mass_beside_the_top_class_within_its_group(own):
    outputs = {"classes": own.outputs(), "coarse": own.outputs("families")}
    spread = dispersal_by_targets(outputs, own.manifest, ("test", "greens"))
    expected = []
    for seed in (0, 1):
        for row in own.output("greens", seed=seed).double().softmax(dim=1).tolist():
            expected.append(row[row.index(max(row)) ^ 1])  # groups are (0, 1) and (2, 3): the other one of the pair
    rows = spread.set_index(["targets", "image_set"])
    assert rows.loc[("classes", "greens"), "dispersal"] == pytest.approx(float(np.mean(expected)))
    np.testing.assert_allclose(rows.loc["coarse", "dispersal"], rows.loc["coarse", "arbitrary"])
    assert list(spread.columns) == ["targets", "image_set", "dispersal", "arbitrary"]


def test_methods_are_compared_that_read_both_networks(own):
    names = ["msp", "families_msp", "max_logit", "rotation_msp"]
    rows = [
        (name, seed, "greens", "ood", 0.1 * k, 0.5, 0.5 + seed / 10) for k, name in enumerate(names) for seed in (0, 1)
    ]
    metrics = pd.DataFrame(rows, columns=["detector", "seed", "ood_set", "positive_class", *METRICS])
    methods = {name: own.spec.methods[name] for name in names}
    found = methods_by_targets(metrics, methods, "families", "classifier")
    assert list(found.columns) == ["targets", "detector", "ood_set", *METRICS]
    assert found[["targets", "detector"]].to_numpy().tolist() == [["classes", "msp"], ["coarse", "msp"]]
    assert found["aupr"].tolist() == pytest.approx([0.55, 0.55])
    assert found["fpr95"].tolist() == pytest.approx([0.0, 0.1])
    assert methods_by_targets(metrics, {}, "families", "classifier").empty


def test_the_report_of_several_targets_compares_them(own):
    compared, spread = (own.load("report")[name] for name in ("granularity", "dispersal"))
    assert set(compared["targets"]) == set(spread["targets"]) == {"classes", "coarse"}
    assert Counter(spread["image_set"]).keys() == {"test", *own.manifest.preparation.ood}
