"""The library of data sets, and what a benchmark takes from it."""

from typing import Any

import pytest
from toy_parameters import change, changed, parameters

from scaling_ood.images import Noise
from scaling_ood.images.multi_label import MultiLabelSource
from scaling_ood.parameters.data_sets import DataSets, FolderSpec, NoiseSpec
from scaling_ood.parameters.multi_label import LabelledSetSpec
from scaling_ood.structure import checked


def data(setting: str, **changes: Any) -> Any:
    given = changed(*(change(f"{setting}.data.{name}", value) for name, value in changes.items()))
    return checked(given)[setting].spec.data


def test_the_source_decides_what_a_data_set_is() -> None:
    sets = DataSets.model_validate(parameters()["data_sets"]).root
    assert {name for name, spec in sets.items() if isinstance(spec, NoiseSpec)} == {"static"}
    assert {name for name, spec in sets.items() if isinstance(spec, FolderSpec)} == sets.keys() - {"static"}


def test_a_benchmark_takes_the_in_distribution_set_and_then_the_ood_sets_in_their_order() -> None:
    assert list(data("multi_class").sets) == ["squares", "static", "animals", "species"]
    assert list(data("multi_class", ood=["animals", "static"]).sets) == ["squares", "animals", "static"]
    assert list(data("multi_label").sets) == ["raccoons", "static"]


def test_a_data_set_that_a_benchmark_does_not_name_is_no_part_of_its_key() -> None:
    other = changed(change("data_sets.rendered.folder", "elsewhere"))
    assert checked(other)["multi_class"].spec.data.what_matters() == data("multi_class").what_matters()
    named = changed(change("data_sets.squares.folder", "elsewhere"))
    assert checked(named)["multi_class"].spec.data.what_matters() != data("multi_class").what_matters()


def test_photographs_and_sources_are_those_that_the_benchmark_reads() -> None:
    assert data("multi_class").photographs() == {"squares": "squares", "animals": "tiny", "species": "species"}
    assert data("multi_label").photographs() == {"coco": "coco_2017", "raccoons": "raccoons"}
    assert data("segmentation").photographs() == {"street": "street"}
    assert data("multi_class").sources["static"] == "noise"
    assert data("multi_label").sources["coco"] == "photographs"
    assert data("multi_class").curated() == ["squares"]


def test_a_noise_set_hands_all_its_options_to_the_generator() -> None:
    options = {"recipe": "blobs", "seed": 3, "sigma": 2.5, "border": "wrap", "blur_channels": False}
    spec = NoiseSpec.model_validate({"source": "noise", "images": 7, "noise_range": "tensor", **options})
    assert spec.noise() == Noise(**options, noise_range="tensor")  # type: ignore[arg-type]
    assert NoiseSpec(source="noise", recipe="gaussian").noise() == Noise("gaussian")


def test_a_labelled_set_hands_all_its_options_to_the_reader() -> None:
    options: dict[str, Any] = {"layout": "voc", "year": 2012, "hard_objects": "ignored", "unlabelled": ("test",)}
    spec = LabelledSetSpec.model_validate({"folder": "voc", **options})
    expected = MultiLabelSource(name="voc_2012", folder="/data/voc", splits=["train", "val"], **options)
    assert spec.labelled_source("voc_2012", "/data/voc", ["train", "val"]) == expected


def test_fit_images_that_judge_the_network_are_no_training_images_unless_these_leave_some() -> None:
    spec = data("multi_label", train={"split": "train", "share": 0.9}, fit={"split": "train"})
    assert spec.fit.split == "train"


@pytest.mark.parametrize(("part", "takes_all"), [({}, True), ({"per_class": 3}, False), ({"share": 0.5}, False)])
def test_a_part_takes_what_is_left_unless_it_says_how_much(part: dict[str, Any], takes_all: bool) -> None:
    assert data("multi_class", test={"split": "val", **part}).test.takes_all is takes_all
