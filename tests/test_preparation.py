"""Keys of products: they change with everything that the product depends on, and with nothing else."""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from toy_benchmark import model_spec, preparation

from scaling_ood import preparation as module
from scaling_ood.datasets import ProvidedFile
from scaling_ood.images import Preprocessing
from scaling_ood.models import ARCHITECTURES
from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.parameters.multi_class import ExtractionSpec, ModelSpec
from scaling_ood.plans import StaleProductError
from scaling_ood.preparation import (
    Preparation,
    model_key,
    outputs_key,
    preprocessing_of,
    refuse_other_file,
    refuse_stale,
    scores_key,
    training_features_key,
)

pytestmark = pytest.mark.usefixtures("toy_architecture")

EXTRACTION = ExtractionSpec()
# A valid other value of every field of the model.
OTHER_MODEL = {
    "architecture": "efficientnet_lite0",
    "training": "network",
    "input_px": 16,
    "labels": ("fine",),
    "seeds": (0, 1),
    "epochs": 4,
    "batch_images": 9,
    "learning_rate": 0.5,
    "weight_decay": 0.5,
    "label_smoothing": 0.1,
}


def outputs_of(prepared: Preparation, spec: ModelSpec | None = None, extraction: ExtractionSpec = EXTRACTION) -> str:
    return outputs_key(prepared, spec or model_spec(), extraction, ["logits"])


def digests(**changes: str) -> dict[str, Any]:
    return {"digests": preparation().digests | changes}


def test_every_field_of_the_model_is_tried() -> None:
    assert OTHER_MODEL.keys() == ModelSpec.model_fields.keys() - {"least_top1", "weights", "pretrained"}


def test_the_key_of_a_fine_tuned_model_is_not_that_of_one_from_random_weights() -> None:
    tuned, scratch = (model_spec(training="network", pretrained=pretrained) for pretrained in (True, False))
    assert model_key(preparation(), tuned) != model_key(preparation(), scratch)


@pytest.mark.parametrize("field", OTHER_MODEL)
def test_the_keys_of_model_and_outputs_change_with_every_field_of_a_trained_model(field: str) -> None:
    other = model_spec(**{field: OTHER_MODEL[field]})
    assert model_key(preparation(), other) != model_key(preparation(), model_spec())
    assert outputs_of(preparation(), other) != outputs_of(preparation())


def test_no_key_changes_with_the_least_accuracy_that_is_asked_for() -> None:
    strict = model_spec(least_top1=0.9)
    assert model_key(preparation(), strict) == model_key(preparation(), model_spec())
    assert outputs_of(preparation(), strict) == outputs_of(preparation())


PUBLISHED = {"training": "none", "labels": ("fine",)}


@pytest.mark.parametrize("field", ["epochs", "batch_images", "learning_rate", "weight_decay", "label_smoothing"])
def test_the_key_of_a_published_model_ignores_how_one_would_train(field: str) -> None:
    other = model_spec(**PUBLISHED, **{field: OTHER_MODEL[field]})
    assert model_key(preparation(), other) == model_key(preparation(), model_spec(**PUBLISHED))


def test_the_key_of_a_published_model_changes_with_the_classes_and_not_with_the_training_images() -> None:
    spec = model_spec(**PUBLISHED)
    key = model_key(preparation(), spec)
    assert model_key(preparation(**digests(train="other")), spec) == key
    assert model_key(preparation(classes=("w", "x", "y", "z")), spec) != key


def test_another_input_size_of_a_published_model_changes_the_outputs_and_not_the_model() -> None:
    small = model_spec(**PUBLISHED, input_px=16)
    assert model_key(preparation(), small) == model_key(preparation(), model_spec(**PUBLISHED))
    assert outputs_of(preparation(), small) != outputs_of(preparation(), model_spec(**PUBLISHED))


@pytest.mark.parametrize(
    "extraction",
    [ExtractionSpec(precision="bf16"), ExtractionSpec(stored="float16"), ExtractionSpec(shard_images=8)],
)
def test_the_key_of_the_outputs_changes_with_every_field_of_the_extraction(extraction: ExtractionSpec) -> None:
    # The step of ODIN counts only where its logits are stored: `tests/pipelines/test_score_extraction.py`.
    assert ExtractionSpec.model_fields.keys() == {"precision", "stored", "shard_images", "odin"}
    assert outputs_of(preparation(), extraction=extraction) != outputs_of(preparation())


def test_the_keys_of_weights_from_a_file_are_those_of_the_files_content_and_the_classes() -> None:
    given = model_spec(training="none", labels=("fine",), weights="checkpoint", architecture="toy_network")
    one, other = (preparation(checkpoint=sha256) for sha256 in ("a" * 64, "b" * 64))
    assert model_key(one, given) != model_key(other, given)
    assert outputs_of(one, given) != outputs_of(other, given)
    assert model_key(one, given) != model_key(preparation(checkpoint="a" * 64, classes=("a", "b")), given)
    again = preparation(checkpoint="a" * 64, **digests(fit="other", test="other"))
    assert model_key(again, given) == model_key(one, given)


def test_weights_that_changed_since_the_data_was_prepared_are_refused() -> None:
    file = ProvidedFile("/weights.pth", "b" * 64)
    refuse_other_file(file, "b" * 64)
    with pytest.raises(StaleProductError, match=r"^/weights\.pth is not the file that the data was prepared with"):
        refuse_other_file(file, "a" * 64)


def test_the_key_of_the_outputs_changes_with_the_stored_fields() -> None:
    more = outputs_key(preparation(), model_spec(), EXTRACTION, ["features", "logits"])
    assert more != outputs_of(preparation())


@pytest.mark.parametrize("image_set", ["train", "fit", "test", "static", "greens"])
def test_the_key_of_the_outputs_changes_with_the_content_of_every_image_set(image_set: str) -> None:
    assert outputs_of(preparation(**digests(**{image_set: "other"}))) != outputs_of(preparation())


@pytest.mark.parametrize("image_set", ["fit", "test", "static", "greens"])
def test_the_keys_of_model_and_features_change_with_the_training_images_alone(image_set: str) -> None:
    other = preparation(**digests(**{image_set: "other"}))
    trained = preparation(**digests(train="other"))
    for key in (model_key, training_features_key):
        assert key(other, model_spec()) == key(preparation(), model_spec())
        assert key(trained, model_spec()) != key(preparation(), model_spec())


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "blobs"},
        {"images": 6},
        {"seed": 1},
        {"sigma": 2.0},
        {"border": "wrap"},
        {"blur_channels": False},
        {"noise_range": "tensor"},
    ],
)
def test_the_key_of_the_outputs_changes_with_every_option_of_a_noise_set(change: dict[str, Any]) -> None:
    noise = preparation().noise["static"]
    other = NoiseSpec.model_validate(noise.model_dump() | change)
    assert outputs_of(preparation(noise={"static": other})) != outputs_of(preparation())


def test_every_option_of_a_noise_set_is_tried() -> None:
    mark = next(
        mark
        for mark in test_the_key_of_the_outputs_changes_with_every_option_of_a_noise_set.pytestmark
        if mark.name == "parametrize"
    )
    assert {name for change in mark.args[1] for name in change} == NoiseSpec.model_fields.keys() - {"source"}


@pytest.mark.parametrize(
    "change",
    [
        {"folders": {"squares": "/elsewhere", "greens": "/there"}},
        {"benchmark": "renamed"},
        {"titles": ("a", "b", "c", "d")},
        {"unreadable": 3},
    ],
)
def test_no_key_changes_with_folders_names_or_titles(change: dict[str, Any]) -> None:
    other = preparation(**change)
    assert outputs_of(other) == outputs_of(preparation())
    assert model_key(other, model_spec()) == model_key(preparation(), model_spec())
    assert training_features_key(other, model_spec()) == training_features_key(preparation(), model_spec())


def test_the_key_of_the_model_changes_with_the_grouping_of_classes() -> None:
    assert model_key(preparation(group_of_class=(0, 1, 0, 1)), model_spec()) != model_key(preparation(), model_spec())


def test_no_key_can_depend_on_batch_size_workers_or_device() -> None:
    for key in (model_key, training_features_key, outputs_key, scores_key):
        annotations = {parameter.annotation for parameter in inspect.signature(key).parameters.values()}
        assert not any("Runtime" in str(annotation) for annotation in annotations)


def test_keys_change_with_the_preprocessing_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for mean in (0.5, 0.4):
        changed = Preprocessing(10, 8, "bilinear", (mean,) * 3, (0.5,) * 3)
        registered = ARCHITECTURES["toy"]
        monkeypatch.setitem(
            ARCHITECTURES, "toy", SimpleNamespace(**{**vars(registered), "preprocessing": changed, "weights": "w"})
        )
        keys.append([function(preparation(), model_spec()) for function in (model_key, training_features_key)])
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_keys_change_with_the_published_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> list[str]:
        heads = [model_key(preparation(), model_spec()), training_features_key(preparation(), model_spec())]
        return [*heads, model_key(preparation(), model_spec(**PUBLISHED)), outputs_of(preparation())]

    before = keys()
    monkeypatch.setattr(module, "published_digest", lambda _: "other weights")
    assert all(one != other for one, other in zip(before, keys(), strict=True))


def test_a_network_that_is_trained_from_scratch_does_not_depend_on_published_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = model_spec(training="network")
    before = model_key(preparation(), spec)
    monkeypatch.setattr(module, "published_digest", lambda _: "other weights")
    assert model_key(preparation(), spec) == before


def test_scores_change_with_outputs_detector_and_options() -> None:
    keys = [scores_key("a", "energy", {}), scores_key("b", "energy", {}), scores_key("a", "msp", {})]
    keys.append(scores_key("a", "energy", {"temperature": 2.0}))
    assert len(set(keys)) == 4


def test_preprocessing_keeps_the_margin_of_the_weights_at_another_input_size() -> None:
    expected = Preprocessing(20, 16, "bilinear", (0.5,) * 3, (0.5,) * 3)
    assert preprocessing_of(model_spec(input_px=16), preparation()) == expected


def test_turning_photographs_upright_is_a_part_of_the_preprocessing_and_of_the_keys() -> None:
    upright = preparation(orientation="upright")
    assert preprocessing_of(model_spec(), upright).orientation == "upright"
    assert model_key(upright, model_spec()) != model_key(preparation(), model_spec())
    assert outputs_of(upright) != outputs_of(preparation())
    assert outputs_of(preparation(oriented={"test": 3})) == outputs_of(preparation())


def test_a_product_of_other_inputs_is_refused_with_its_name_and_the_command_that_renews_it() -> None:
    refuse_stale(SimpleNamespace(key="now"), "now", "multi_class.outputs")
    with pytest.raises(StaleProductError) as caught:
        refuse_stale(SimpleNamespace(key="then"), "now", "multi_class.outputs")
    assert "multi_class.outputs is stale" in str(caught.value)
    assert "kedro run --to-outputs multi_class.outputs" in str(caught.value)


def test_scored_sets_are_the_test_and_the_ood_sets_in_the_order_of_the_tables() -> None:
    assert preparation().scored_sets == ("test", "static", "greens")
    assert preparation().extracted_sets == ("fit", "test", "static", "greens")


def test_there_is_one_classifier_per_kind_of_labels_and_seed() -> None:
    variants = preparation().variants(model_spec(labels=("coarse", "fine"), seeds=(4, 2)))
    assert [(variant.name, variant.classes) for variant in variants] == [
        ("coarse_seed4", 2),
        ("coarse_seed2", 2),
        ("fine_seed4", 4),
        ("fine_seed2", 4),
    ]


def test_a_preparation_survives_its_storage_as_json() -> None:
    stored = preparation().model_dump_json()
    assert Preparation.model_validate_json(stored) == preparation()
    assert outputs_of(Preparation.model_validate_json(stored)) == outputs_of(preparation())
