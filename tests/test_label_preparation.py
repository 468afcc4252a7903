"""Keys of multi-label products: they change with everything that the product depends on, and with nothing else."""

import inspect
from dataclasses import replace

import pytest
from label_toys import label_model_spec
from toy_benchmark import TOY, preparation

from scaling_ood import label_preparation as module
from scaling_ood.images import Preprocessing
from scaling_ood.label_preparation import (
    label_features_key,
    label_model_key,
    label_outputs_key,
    label_preprocessing,
)
from scaling_ood.models import ARCHITECTURES
from scaling_ood.parameters.data_sets import NoiseSpec
from scaling_ood.parameters.multi_label import LabelExtractionSpec, MultiLabelModelSpec

pytestmark = pytest.mark.usefixtures("toy_architecture")

SETS = ("train", "fit", "test", "static", "greens")
# A valid other value of every field of the model.
OTHER_MODEL = {
    "architecture": "efficientnet_lite0",
    "training": "network",
    "input_px": 16,
    "squash": True,
    "width": 17,
    "dropout": 0.25,
    "seeds": (0,),
    "epochs": 5,
    "best_epoch": "last",
    "batch_images": 7,
    "learning_rate": 0.5,
    "backbone_learning_rate": 0.5,
    "averaging": "trapezoid",
    "precision": "bf16",
}
OTHER_EXTRACTION = {"precision": "bf16", "shard_images": 9, "dropout_passes": 11, "dropout_seed": 1}
EVERYTHING = ("features", "logits", "posterior_variance")


def keys(prepared=None, spec=None, extraction=None, fields=EVERYTHING):
    """Keys of cached features, model and outputs."""
    prepared, spec = prepared or preparation(), spec or label_model_spec()
    return {
        "features": label_features_key(prepared, spec),
        "model": label_model_key(prepared, spec),
        "outputs": label_outputs_key(prepared, spec, extraction or LabelExtractionSpec(), fields),
    }


def changed(**given):
    """The products whose key is another one."""
    before, after = keys(), keys(**given)
    return {name for name in before if before[name] != after[name]}


def test_every_field_is_tried():
    assert OTHER_MODEL.keys() == MultiLabelModelSpec.model_fields.keys() - {"least_map"}
    assert OTHER_EXTRACTION.keys() == LabelExtractionSpec.model_fields.keys()


@pytest.mark.parametrize("field", OTHER_MODEL)
def test_model_and_outputs_change_with_every_field_of_the_model(field):
    other = changed(spec=label_model_spec(**{field: OTHER_MODEL[field]}))
    assert other >= {"model", "outputs"}
    # What heads are trained on is made of backbone and images alone.
    assert ("features" in other) == (field in ("architecture", "input_px", "squash"))


def test_nothing_changes_with_the_least_map_that_is_asked_for():
    assert changed(spec=label_model_spec(least_map=0.9)) == set()


@pytest.mark.parametrize("field", OTHER_EXTRACTION)
def test_outputs_alone_change_with_every_field_of_the_extraction(field):
    other = LabelExtractionSpec.model_validate({field: OTHER_EXTRACTION[field]})
    assert changed(extraction=other) == {"outputs"}


@pytest.mark.parametrize("field", ["dropout_passes", "dropout_seed"])
def test_the_masks_of_dropout_count_only_where_they_are_made(field):
    other = LabelExtractionSpec.model_validate({field: OTHER_EXTRACTION[field]})
    plain = ["features", "logits"]
    assert keys(extraction=other, fields=plain) == keys(fields=plain)


def test_outputs_change_with_the_stored_fields():
    assert changed(fields=("logits",)) == {"outputs"}


@pytest.mark.parametrize("image_set", SETS)
def test_a_training_depends_on_the_images_to_learn_and_to_choose_on_and_outputs_on_all(image_set):
    other = preparation(digests=preparation().digests | {image_set: "other"})
    trained = {"features", "model"} if image_set in ("train", "fit") else set()
    assert changed(prepared=other) == trained | {"outputs"}


def test_the_order_of_the_classes_is_part_of_the_model_and_not_of_the_features():
    assert changed(prepared=preparation(classes=("d", "c", "b", "a"))) == {"model", "outputs"}


@pytest.mark.parametrize("change", [{"recipe": "blobs"}, {"seed": 1}, {"noise_range": "tensor"}])
def test_outputs_change_with_the_options_of_a_noise_set(change):
    noise = NoiseSpec.model_validate(preparation().noise["static"].model_dump() | change)
    assert changed(prepared=preparation(noise={"static": noise})) == {"outputs"}


@pytest.mark.parametrize(
    "change",
    [
        {"folders": {"squares": "/elsewhere", "greens": "/there"}},
        {"benchmark": "renamed"},
        {"titles": ("a", "b", "c", "d")},
        {"unreadable": 3},
        {"seed": 8},
    ],
)
def test_nothing_changes_with_folders_names_or_titles(change):
    assert changed(prepared=preparation(**change)) == set()


def test_no_key_can_depend_on_batch_size_workers_or_device():
    for key in (label_features_key, label_model_key, label_outputs_key):
        annotations = {parameter.annotation for parameter in inspect.signature(key).parameters.values()}
        assert not any("Runtime" in str(annotation) for annotation in annotations)


def test_everything_changes_with_the_published_weights_and_their_preprocessing(monkeypatch):
    before = keys()
    with monkeypatch.context() as patch:
        patch.setattr(module, "published_digest", lambda _: "other weights")
        after = keys()
    assert all(before[name] != after[name] for name in before)
    darker = Preprocessing(10, 8, "bilinear", (0.4,) * 3, (0.5,) * 3)
    monkeypatch.setitem(ARCHITECTURES, "toy", replace(TOY, preprocessing=darker))
    after = keys()
    assert all(before[name] != after[name] for name in before)


def test_everything_changes_with_turning_photographs_upright():
    assert changed(prepared=preparation(orientation="upright")) == {"features", "model", "outputs"}


def test_test_images_are_cut_as_the_weights_want_it_or_squashed():
    cut, squashed = (
        label_preprocessing(label_model_spec(input_px=16, squash=squash), preparation()) for squash in (False, True)
    )
    assert cut == TOY.preprocessing.at(16)
    assert squashed == cut.squashed() != cut
    assert label_preprocessing(label_model_spec(), preparation()) == TOY.preprocessing
