"""What all parameters share: defaults, seeds, hints, and what is handed on."""

from typing import Any

import pytest
from pydantic import ValidationError
from toy_parameters import parameters

from miniatures import MiniatureSpec
from miniatures.composite import CompositeSpec
from miniatures.street import StreetSpec
from scaling_ood.parameters.common import ReportingSpec, RuntimeSpec, did_you_mean, misspelt
from scaling_ood.parameters.multi_class import ClassifierSpec, FabricationSpec
from scaling_ood.parameters.multi_label import CompositeFabricationSpec
from scaling_ood.parameters.segmentation import StreetFabricationSpec
from scaling_ood.structure import checked


@pytest.mark.parametrize(
    ("kind", "request_class", "options"),
    [
        (FabricationSpec, MiniatureSpec, {"families": 5, "ood_families": 3, "supercategories": 2}),
        (CompositeFabricationSpec, CompositeSpec, {"seed": 4}),
        (StreetFabricationSpec, StreetSpec, {"seed": 4}),
    ],
)
def test_what_the_fabrication_does_not_name_keeps_its_default(
    kind: Any, request_class: Any, options: dict[str, Any]
) -> None:
    assert kind().request() == request_class()
    assert kind.model_validate(options).request() == request_class(**options)


def test_nothing_changes_after_loading() -> None:
    specs = [RuntimeSpec(), *(setting.spec for setting in checked(parameters()).values())]
    specs += [spec.data for spec in specs[1:]] + [spec.extraction for spec in specs[1:]]  # type: ignore[attr-defined]
    for spec in specs:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(spec, next(iter(type(spec).model_fields)), "other")


@pytest.mark.parametrize(("given", "seeds"), [(3, (0, 1, 2)), ([4, 2], (4, 2)), (1, (0,))])
def test_a_number_of_seeds_means_the_first_ones(given: object, seeds: tuple[int, ...]) -> None:
    spec = ClassifierSpec.model_validate({"architecture": "small_resnet", "weights": "trained", "seeds": given})
    assert spec.seeds == seeds


@pytest.mark.parametrize("given", [0, [], True, [-1], [0.5], "two"])
def test_other_seeds_are_refused(given: object) -> None:
    with pytest.raises(ValidationError, match="seeds"):
        ClassifierSpec.model_validate({"architecture": "small_resnet", "weights": "trained", "seeds": given})


def test_the_first_positive_class_is_the_one_that_figures_show() -> None:
    assert ReportingSpec(positive_class="both").positive_classes == ("in_dist", "ood")
    assert ReportingSpec().positive_classes == ("ood",)


def test_a_hint_names_the_nearest_word_only_if_there_is_one() -> None:
    assert did_you_mean("foldr", ["folder", "layout"]) == "; did you mean 'folder'? (known: folder, layout)"
    assert did_you_mean("zzz", ["folder", "layout"]) == " (known: folder, layout)"
    assert did_you_mean("zzz", []) == " (known: none)"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("classifer", "classifier"),
        ("classifier", ""),
        ("classifier_b", ""),
        ("rotation", ""),
        ("clasifier", "classifier"),
    ],
)
def test_only_what_is_nearly_a_known_word_is_taken_for_a_misspelling(word: str, meant: str) -> None:
    assert misspelt(word, ["classifier", "segmenter"]) == meant
