"""Typed parameters: defaults, conversions, and what they hand on."""

from typing import Any

import pytest
from pydantic import ValidationError

from miniatures import MiniatureSpec
from scaling_ood.images import Noise
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.data_sets import DataSets, DataSpec, FolderSpec, NoiseSpec, PartSpec
from scaling_ood.parameters.multi_class import FabricationSpec, ModelSpec

DATA: dict[str, Any] = {
    "in_dist": "known",
    "ood": ["b", "a"],
    "train": None,
    "fit": {"split": "all"},
    "test": {"split": "all"},
}


def test_the_source_decides_what_a_data_set_is() -> None:
    sets = DataSets.model_validate(
        {
            "photos": {"source": "photographs", "layout": "image_folder", "folder": "x"},
            "drawn": {"source": "fabricated", "layout": "class_folders", "folder": "y"},
            "static": {"source": "noise", "recipe": "blobs"},
        }
    )
    assert {name: type(spec) for name, spec in sets.root.items()} == {
        "photos": FolderSpec,
        "drawn": FolderSpec,
        "static": NoiseSpec,
    }


def test_a_benchmark_uses_the_in_distribution_set_and_then_the_ood_sets_in_their_order() -> None:
    noise = {"source": "noise", "recipe": "gaussian"}
    sets = DataSets.model_validate(dict.fromkeys(("a", "b", "known", "unused"), noise))
    assert list(sets.used_by(DataSpec.model_validate(DATA))) == ["known", "b", "a"]


def test_a_noise_set_hands_all_its_options_to_the_generator() -> None:
    options = {"recipe": "blobs", "seed": 3, "sigma": 2.5, "border": "wrap", "blur_channels": False}
    spec = NoiseSpec.model_validate({"source": "noise", "images": 7, "noise_range": "tensor", **options})
    assert spec.noise() == Noise(**options, noise_range="tensor")  # type: ignore[arg-type]


def test_the_defaults_of_a_noise_set_are_those_of_the_generator() -> None:
    assert NoiseSpec(source="noise", recipe="gaussian").noise() == Noise("gaussian")


def test_what_the_fabrication_does_not_name_keeps_its_default() -> None:
    assert FabricationSpec.model_validate({"families": 5, "ood_families": 3, "supercategories": 2}).request() == (
        MiniatureSpec(families=5, ood_families=3, supercategories=2)
    )
    assert FabricationSpec().request() == MiniatureSpec()


@pytest.mark.parametrize("spec", [RuntimeSpec(), PartSpec(split="val"), DataSpec.model_validate(DATA)])
def test_nothing_changes_after_loading(spec: Any) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec, next(iter(type(spec).model_fields)), "other")


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": -0.1},
        {"label_smoothing": 1},
        {"epochs": 0},
        {"batch_images": 0},
        {"least_top1": 1.1},
        {"input_px": 8},
        {"labels": []},
        {"seeds": []},
    ],
)
def test_a_recipe_out_of_its_range_is_refused(wrong: dict[str, Any]) -> None:
    right = {"architecture": "small_resnet", "training": "network"}
    ModelSpec.model_validate(right)
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ModelSpec.model_validate(right | wrong)
