"""The settings of the paper's benchmarks against paper and released code: images, noise, epochs, scales."""

from typing import Any

import pytest
from environments import environment

NOISE = ("gaussian", "rademacher", "blobs")


def spec_of(name: str, setting: str) -> Any:
    return environment(name).settings[setting].spec


@pytest.mark.parametrize(
    ("name", "validation", "share"), [("imagenet_1k", 50_000, 1 / 11), ("places365", 36_500, 0.0295)]
)
def test_ood_sets_have_the_share_that_the_papers_aupr_agree_with(name: str, validation: int, share: float) -> None:
    spec = spec_of(name, "multi_class")
    tested = validation - spec.data.fit.per_class * (1000 if name == "imagenet_1k" else 365)
    for images in (each.images for set_name, each in spec.data.sets.items() if set_name in spec.data.ood):
        assert images / (tested + images) == pytest.approx(share, abs=5e-5)
    told = " ".join(spec.reporting.caveats)
    assert f"{images:,} a set beside the {tested:,} test images" in told


@pytest.mark.parametrize("name", ["imagenet_1k", "places365"])
def test_noise_is_reported_in_both_ranges_where_the_papers_is_not_known(name: str) -> None:
    spec = spec_of(name, "multi_class")
    for noise in NOISE:
        pixel, tensor = (spec.data.sets[each] for each in (noise, f"{noise}_tensor"))
        assert {noise, f"{noise}_tensor"} <= set(spec.data.ood)
        assert (pixel.noise_range, tensor.noise_range) == ("pixel", "tensor")
        assert tensor.model_copy(update={"noise_range": "pixel"}) == pixel


def test_cifar10_takes_noise_as_the_released_code_does() -> None:
    spec = spec_of("cifar10", "multi_class")
    sets = {name: spec.data.sets[name] for name in NOISE}
    assert {name: (each.noise_range, each.images) for name, each in sets.items()} == dict.fromkeys(
        NOISE, ("tensor", 2000)
    )
    assert sets["blobs"].sigma == 1.5


@pytest.mark.parametrize("name", ["streethazards", "bdd_anomaly"])
def test_segmenters_are_trained_as_the_released_code_does(name: str) -> None:
    model = spec_of(name, "segmentation").networks["segmenter"]
    assert (model.epochs, model.steps_per_epoch, model.batch_images, model.images_per_scale) == (20, 5000, 8, 2)
    assert (model.best_epoch, model.learning_rate, model.weight_decay) == ("last", 0.02, 1e-4)
    assert model.short_edges == (300, 375, 450, 525, 600)


@pytest.mark.parametrize("name", ["voc", "coco"])
def test_multi_label_networks_are_the_last_epochs_as_in_the_released_code(name: str) -> None:
    model = spec_of(name, "multi_label").networks["classifier"]
    assert (model.epochs, model.batch_images, model.best_epoch) == (50, 40, "last")


@pytest.mark.parametrize(("name", "setting"), [("miniature", "multi_label"), ("samples", "segmentation")])
def test_this_projects_own_benchmarks_choose_the_epoch_on_validation_images(name: str, setting: str) -> None:
    spec = spec_of(name, setting)
    assert spec.networks[spec.shared].best_epoch == "validation"
