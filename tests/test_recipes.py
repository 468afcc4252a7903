"""The settings of the paper's benchmarks against paper and released code: images, noise, epochs, scales."""

from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from scaling_ood import structure
from scaling_ood.scene_preparation import ScenePreparation, segmenter_key
from scaling_ood.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
NOISE = ("gaussian", "rademacher", "blobs")


def spec_of(environment: str, setting: str) -> Any:
    loader = OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)
    return structure.checked(loader["parameters"])[setting]


@pytest.mark.parametrize(
    ("environment", "validation", "share"), [("imagenet_1k", 50_000, 1 / 11), ("places365", 36_500, 0.0295)]
)
def test_ood_sets_have_the_share_that_the_papers_aupr_agree_with(
    environment: str, validation: int, share: float
) -> None:
    spec = spec_of(environment, "multi_class")
    tested = validation - spec.data.fit.per_class * (1000 if environment == "imagenet_1k" else 365)
    for images in (spec.data_sets.root[name].images for name in spec.data.ood):
        assert images / (tested + images) == pytest.approx(share, abs=5e-5)
    told = " ".join(spec.reporting.caveats)
    assert f"{images:,} a set beside the {tested:,} test images" in told


@pytest.mark.parametrize("environment", ["imagenet_1k", "places365"])
def test_noise_is_reported_in_both_ranges_where_the_papers_is_not_known(environment: str) -> None:
    spec = spec_of(environment, "multi_class")
    for name in NOISE:
        pixel, tensor = (spec.data_sets.root[each] for each in (name, f"{name}_tensor"))
        assert {name, f"{name}_tensor"} <= set(spec.data.ood)
        assert (pixel.noise_range, tensor.noise_range) == ("pixel", "tensor")
        assert tensor.model_copy(update={"noise_range": "pixel"}) == pixel


def test_cifar10_takes_noise_as_the_released_code_does() -> None:
    spec = spec_of("cifar10", "multi_class")
    sets = {name: spec.data_sets.root[name] for name in NOISE}
    assert {name: (each.noise_range, each.images) for name, each in sets.items()} == dict.fromkeys(
        NOISE, ("tensor", 2000)
    )
    assert sets["blobs"].sigma == 1.5


@pytest.mark.parametrize("environment", ["streethazards", "bdd_anomaly"])
def test_segmenters_are_trained_as_the_released_code_does(environment: str) -> None:
    model = spec_of(environment, "segmentation").model
    assert (model.epochs, model.steps_per_epoch, model.batch_images, model.images_per_scale) == (20, 5000, 8, 2)
    assert (model.best_epoch, model.learning_rate, model.weight_decay) == ("last", 0.02, 1e-4)
    assert model.short_edges == (300, 375, 450, 525, 600)


@pytest.mark.parametrize("environment", ["voc", "coco"])
def test_multi_label_networks_are_the_last_epochs_as_in_the_released_code(environment: str) -> None:
    model = spec_of(environment, "multi_label").model
    assert (model.epochs, model.batch_images, model.best_epoch) == (50, 40, "last")


@pytest.mark.parametrize(("environment", "setting"), [("base", "multi_label"), ("samples", "segmentation")])
def test_this_projects_own_benchmarks_choose_the_epoch_on_validation_images(environment: str, setting: str) -> None:
    assert spec_of(environment, setting).model.best_epoch == "validation"


def test_the_new_options_of_a_segmenters_training_are_in_its_key_where_they_are_used() -> None:
    prepared = ScenePreparation(
        benchmark="toy",
        data_set="toy",
        folder="/nowhere",
        layout="streethazards",
        labels="streethazards",
        classes=("road", "car"),
        subsets=(),
        images={"train": 4, "validation": 2, "test": 3},
        digests={"train": "d0", "validation": "d1", "test": "d2"},
        anomalous_share=0.1,
        without_anomaly=0,
        unreadable=0,
    )
    spec = spec_of("base", "segmentation").model
    changes: list[dict[str, Any]] = [{}, {"best_epoch": "last"}, {"images_per_scale": 4}, {"images_per_scale": 2}]
    keys = [segmenter_key(prepared, spec.model_copy(update=change)) for change in changes]
    assert len(set(keys)) == len(keys)
