"""A packaged detector says of an image what the pipeline's scores say, whatever the detector and the network."""

import base64
import io
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.bench import bench, only, variant
from helpers.packaged import RATE, opened, packed, photographs
from PIL import Image

from scaling_ood.evaluation.chunks import stored_scenes
from scaling_ood.evaluation.fitting import fitted
from scaling_ood.evaluation.scene_tables import frames, score_pixels
from scaling_ood.metrics.false_alarms import TooFewScoresError, false_alarm_threshold
from scaling_ood.models import ClassHead, build_network
from scaling_ood.products.packages import PackageError, read_package, write_package
from scaling_ood.tasks import tasks
from scaling_ood.tasks.deployed import Deployed
from scaling_ood.tasks.packing import NotPackagedError

SETTINGS = [task.name for task in tasks()]
WHOLE = [task.name for task in tasks() if not task.spec.dense]
SCENES = [task.name for task in tasks() if task.spec.dense]


def present(own):
    return [name for name in own.spec.methods if not own.load(f"{name}.scores").gap]


@pytest.mark.parametrize("setting", WHOLE)
def test_scores_are_the_pipelines_for_every_detector(benches, tmp_path, setting):
    own = benches(setting)
    for name in present(own):
        deployed = opened(own, name, tmp_path)
        scores = own.load(f"{name}.scores").of(0)
        for image_set in ("test", own.manifest.preparation.ood[0]):
            answers = pd.DataFrame(deployed.answers(photographs(own, image_set)))
            np.testing.assert_allclose(answers["score"], scores[image_set], rtol=1e-5, atol=1e-5, err_msg=name)
        chosen = deployed.about["threshold"]
        assert (answers["is_anomaly"] == (answers["score"] > chosen["threshold"])).all()
        if (answers["score"] - chosen["threshold"]).abs().min() > 1e-4:
            assert answers["is_anomaly"].mean() == chosen["caught"][image_set]


PUBLISHED = {
    "networks": {"classifier": {"architecture": "toy", "weights": "published", "least_quality": 0.0}},
    "data__train": None,
}
OTHERS = {
    "multi_class": [
        PUBLISHED,
        {"networks__classifier__weights": "fine_tuned"},
        {"networks__classifier__weights": "trained", "networks__classifier__squash": True},
    ],
    "multi_label": [{"networks__classifier__weights": "fine_tuned"}],
}


@pytest.mark.parametrize(("setting", "changes"), [(name, each) for name, own in OTHERS.items() for each in own])
def test_scores_are_the_pipelines_wherever_the_weights_come_from(benches, tmp_path, setting, changes):
    own = benches(setting)
    made = bench(setting, tmp_path, own.photographs, detectors=only("react"), **changes)
    deployed = opened(made, "react", tmp_path)
    answers = deployed.answers(photographs(made, "test"))
    expected = made.load("react.scores").of(0)["test"]
    np.testing.assert_allclose([each["score"] for each in answers], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("setting", WHOLE)
def test_scores_are_the_pipelines_with_the_weights_of_a_file(benches, tmp_path, setting):
    own = benches(setting)
    network = {"classifier": {"architecture": "toy", "weights": "checkpoint", "least_quality": 0.0}}
    made = bench(setting, tmp_path, own.photographs, detectors=only("energy"), networks=network, data__train=None)
    made.products.mkdir()
    classes = len(made.manifest.preparation.classes)
    given = build_network("toy", partial(ClassHead, classes=classes), seed=4, start="random")
    torch.save(given.state_dict(), made.products / f"{setting}.checkpoint.pth")
    answers = opened(made, "energy", tmp_path).answers(photographs(made, "test"))
    expected = made.load("energy.scores").of(0)["test"]
    np.testing.assert_allclose([each["score"] for each in answers], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("setting", SCENES)
def test_maps_are_the_pipelines_for_every_detector(benches, tmp_path, setting):
    own = benches(setting)
    for name in sorted({*present(own)} - {"mc_dropout"}):  # its masks depend on the scene's name
        deployed, method = opened(own, name, tmp_path), own.spec.methods[name]
        outputs = own.outputs(method.network)
        detector = fitted(method, partial(own.task.fit_view, outputs, own.manifest), 0, own.manifest)
        for scene, image in zip(stored_scenes(outputs, own.manifest, "test"), photographs(own, "test"), strict=True):
            (answer,) = deployed.answers([image])
            shown = np.load(io.BytesIO(base64.b64decode(answer["map"])), allow_pickle=False)
            assert shown.dtype == np.float32
            np.testing.assert_allclose(shown, score_pixels(detector, scene, 0), rtol=1e-5, atol=1e-5, err_msg=name)
            chosen = deployed.about["threshold"]
            assert answer["score"] == np.mean(shown > chosen["pixel_threshold"])
            assert answer["is_anomaly"] == (answer["score"] > chosen["threshold"])


@pytest.mark.parametrize("setting", WHOLE)
def test_the_threshold_is_chosen_on_in_distribution_test_images_alone(benches, setting):
    own = benches(setting)
    scores = own.load("msp.scores")
    chosen = packed(own, "msp").about["threshold"]
    test = scores.of(0)["test"].to_numpy()
    assert chosen["threshold"] == false_alarm_threshold(test, RATE).threshold
    assert chosen["images"] == len(test)
    assert (test > chosen["threshold"]).mean() <= RATE
    for name, share in chosen["caught"].items():
        assert share == (scores.of(0)[name] > chosen["threshold"]).mean()
    moved = scores.frame.assign(score=scores.frame["score"].where(scores.frame["image_set"] == "test", 1e9))
    assert own.task.threshold(None, replace(scores, frame=moved), None, None, RATE)["threshold"] == chosen["threshold"]


@pytest.mark.parametrize("setting", SCENES)
def test_the_threshold_of_pixels_never_sees_an_anomaly(benches, setting):
    own = benches(setting)
    chosen = packed(own, "max_logit").about["threshold"]
    method, outputs = own.spec.methods["max_logit"], own.outputs()
    known, caught, shares = [], [], []
    for _, (score, is_ood, valid) in frames(method.build(), outputs, own.manifest, 0):
        known.append(score[valid & ~is_ood])
        caught.append(score[is_ood])
    pixels = np.concatenate(known)
    limit = np.float32(false_alarm_threshold(pixels, RATE).threshold)
    shares = [np.mean(one > limit) for one in known]
    assert chosen["pixel_threshold"] == limit
    assert chosen["pixels"] == pixels.size
    assert chosen["threshold"] == false_alarm_threshold(shares, RATE).threshold
    assert chosen["caught"]["pixels"] == np.mean(np.concatenate(caught) > limit)


@pytest.mark.parametrize("setting", WHOLE)
def test_classes_are_named(benches, tmp_path, setting):
    own = benches(setting)
    answers = opened(own, "msp", tmp_path).answers(photographs(own, "test"))
    logits, names = own.output("test"), own.manifest.preparation.classes
    assert [each["class"] for each in answers] == [names[index] for index in logits.argmax(dim=1).tolist()]
    if "classes" in answers[0]:
        expected = [[names[index] for index in (row > 0).nonzero().flatten().tolist()] for row in logits]
        assert [each["classes"] for each in answers] == expected


def test_an_answer_does_not_depend_on_the_other_images_of_a_request(benches, tmp_path):
    own = benches("multi_class")
    deployed, images = opened(own, "odin", tmp_path), photographs(own, "test")
    together = [each["score"] for each in deployed.answers(images)]
    alone = [deployed.answers([image])[0]["score"] for image in images]
    assert together == pytest.approx(alone, abs=1e-6)


def test_nothing_is_taken_along_that_the_detector_does_not_learn_from(benches):
    own = benches("multi_class")
    assert not [name for name in packed(own, "max_logit").learned if "/" in name]
    assert {name.split("/")[1] for name in packed(own, "knn").learned if "/" in name} == {"features"}


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_has_no_meaning_is_not_packaged(benches, setting):
    own = benches(setting)
    gaps = [name for name in own.spec.methods if own.load(f"{name}.scores").gap]
    if gaps:
        with pytest.raises(NotPackagedError, match=f"{gaps[0]} cannot be packaged: .*{setting}.packaging.detector"):
            packed(own, gaps[0])


def test_too_few_images_for_a_rate_are_refused(benches):
    with pytest.raises(TooFewScoresError, match=r"0.10% false alarms takes at least 999 in-distribution scores"):
        packed(benches("multi_class"), "msp", rate=0.001)


def test_a_package_holds_data_alone_and_is_checked(benches, tmp_path):
    own = benches("multi_class")
    write_package(packed(own, "knn"), tmp_path / "one")
    endings = {path.suffix for path in (tmp_path / "one").iterdir()}
    assert endings == {".json", ".safetensors", ".csv"}
    weights = tmp_path / "one" / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(PackageError, match=r"network.safetensors in .* is not what was packaged"):
        read_package(tmp_path / "one")


def test_a_package_of_another_version_is_refused_in_words(benches, tmp_path):
    found = packed(benches("multi_class"), "msp")
    with pytest.raises(PackageError, match="of the setting 'tabular', and there are: multi_class"):
        Deployed(replace(found, about={**found.about, "setting": "tabular"}))
    write_package(found, tmp_path / "one")
    place = tmp_path / "one" / "package.json"
    place.write_text(place.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(PackageError, match="has format 1, and this version of scaling_ood reads 2"):
        read_package(tmp_path / "one")


def test_the_name_and_the_detector_are_checked_parameters(benches, tmp_path):
    own = benches("multi_class")
    assert packed(own, "msp").name == "scaling-ood-toy-multi_class"
    assert packed(own, "msp", name="guard").name == "guard"
    assert own.spec.packaged.name == "max_logit"
    off = variant(own, tmp_path, detectors__max_logit=False)
    assert off.spec.packaged.name == next(iter(off.spec.methods))
    with pytest.raises(Exception, match=r"packaging.detector: 'enrgy' is not on; did you mean 'energy'"):
        variant(own, tmp_path, packaging={"detector": "enrgy"})


def test_a_photograph_of_another_size_and_mode_is_taken(benches, tmp_path):
    deployed = opened(benches("multi_class"), "msp", tmp_path)
    answers = deployed.answers([Image.new("RGB", (300, 200)), Image.new("RGB", (5, 7))])
    assert np.isfinite([each["score"] for each in answers]).all()
