"""Every parameter of every model either changes the keys of what is made with it, or is marked as one that cannot."""

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import RootModel
from toy_parameters import change, changed, parameters

from scaling_ood import models
from scaling_ood import parameters as package
from scaling_ood.models import ARCHITECTURES, architecture
from scaling_ood.parameters.common import RuntimeSpec, Silent, Spec
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.outputs import OutputsDataSpec
from scaling_ood.parameters.preparing import PreprocessingSpec
from scaling_ood.parameters.weights import WEIGHTS
from scaling_ood.products.keys import digest
from scaling_ood.structure import checked

SILENT = {
    # thresholds of checks
    "least_quality",
    "most_shared",
    "most_unreadable",
    "near_duplicates",
    # what is shown, and said
    "caveats",
    "examples",
    "keep_score_maps",
}


def inside(value: Any) -> Iterator[Spec]:
    """All parameters within others."""
    if isinstance(value, Spec):
        yield value
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, list | tuple) or (hasattr(value, "__iter__") and not isinstance(value, str)):
        for inner in value:
            yield from inside(inner)


def classes() -> set[type[Spec]]:
    """Every class of parameters there is."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")

    def below(kind: type[Spec]) -> Iterator[type[Spec]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    return {each for each in below(Spec) if each.__module__.startswith(package.__name__)}


PAIRED = {
    "in_dist": "mine",
    "layout": "paired_folders",
    "folder": "x",
    "paired": {"splits": {"test": {"images": "i", "labels": "l", "role": "test"}}, "ids": {0: 0, 1: "anomaly"}},
}
WHOLE = [
    *checked(parameters()).values(),
    *checked(changed(change("segmentation.data", PAIRED), change("segmentation.fabrication", {"seed": 1}))).values(),
]
GIVEN = {type(each): each for setting in WHOLE for each in inside(setting.spec)} | {
    RuntimeSpec: RuntimeSpec(),
    OutputsDataSpec: OutputsDataSpec(outputs="."),
}
OTHER_LEVELS = PreprocessingSpec(mean=(0.1, 0.2, 0.3))
FIELDS = [(kind, field) for kind in sorted(GIVEN, key=lambda kind: kind.__name__) for field in kind.model_fields]


def is_silent(kind: type[Spec], field: str) -> bool:
    return Silent in kind.model_fields[field].metadata


def key(spec: Spec) -> str:
    return digest(spec.what_matters())


def test_every_class_of_parameters_is_tried() -> None:
    bases = {each for kind in GIVEN for each in kind.__mro__}
    generic = {each for each in classes() if "[" in each.__name__}
    assert {each.__name__ for each in classes() - bases - generic} == set()
    assert not any(issubclass(kind, RootModel) for kind in GIVEN)


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_parameter_changes_the_key_or_is_marked_as_one_that_cannot(kind: type[Spec], field: str) -> None:
    spec = GIVEN[kind]
    architecture = "pspnet_resnet18" if "pspnet" in str(spec) else "resnet18"
    words: dict[str, Any] = {}
    if isinstance(spec, NetworkSpec):
        words = {"weights": "fine_tuned", "architecture": architecture, "preprocessing": OTHER_LEVELS}
        spec = spec.model_copy(update={"architecture": "resnet34"}) if field == "head" else spec
        words |= {"head": "fc", "class_order": str(Path(__file__).parents[1] / "helpers/class_order.txt")}
    other = spec.model_copy(update={field: words.get(field, "another value")})
    of_others: set[str] = set()
    if isinstance(spec, NetworkSpec):
        of_others = set().union(*(own for name, own in spec.of_objective.items() if name != spec.objective))
    assert (key(other) == key(spec)) == (is_silent(kind, field) or field in of_others)


def test_what_changes_no_key_is_where_and_how_fast_thresholds_of_checks_and_words() -> None:
    silent = {field for kind, field in FIELDS if is_silent(kind, field) and kind is not RuntimeSpec}
    assert silent == SILENT
    assert all(is_silent(RuntimeSpec, field) for field in RuntimeSpec.model_fields)
    assert RuntimeSpec().what_matters() == {}


def test_options_of_renderers_and_detectors_count_although_no_field_names_them() -> None:
    own, other = (
        checked(changed(change("multi_class.fabrication.seed", seed), change("multi_class.detectors.energy", options)))
        for seed, options in ((0, {"temperature": 2.0}), (1, {"temperature": 3.0}))
    )
    specs = [settings["multi_class"].spec for settings in (own, other)]
    assert len({key(spec.fabrication) for spec in specs}) == 2
    assert len({digest(spec.methods["energy"].what_matters()) for spec in specs}) == 2
    assert len({digest(spec.methods["msp"].what_matters()) for spec in specs}) == 1


def test_a_detector_counts_by_what_it_computes_and_not_by_its_name() -> None:
    given = changed(change("multi_class.detectors.mine", {"method": "energy", "temperature": 2.0}))
    methods = checked(given)["multi_class"].spec.methods
    assert methods["mine"].what_matters() == methods["energy"].what_matters()
    assert methods["odin_max_logit"].what_matters() != replace(methods["odin_max_logit"], source=None).what_matters()


@pytest.mark.parametrize("path", ["multi_class.networks.classifier", "segmentation.networks.segmenter"])
def test_how_one_would_train_counts_only_where_something_is_trained(path: str) -> None:
    setting, _, name = path.split(".")
    recipes = ({}, {"epochs": 7}, {"learning_rate": 0.5}, {"batch_images": 12}, {"weight_decay": 0.5})
    for weights, kinds in (("trained", len(recipes)), ("checkpoint", 1)):
        keys = set()
        for recipe in recipes:
            own = parameters()[setting]["networks"][name] | recipe | {"weights": weights, "seeds": [0]}
            given = changed(change(path, own), change(f"{setting}.detectors", {"msp": {}}))
            given["multi_class"]["networks"].pop("families")
            given["multi_class"]["detectors"].pop("families_msp", None)
            given["multi_class"]["data"] |= {"train": None} if weights == "checkpoint" else {}
            for other in ("confidence_branch", "dropout", "autoencoder"):
                given[setting]["networks"].pop(other, None)
            if setting == "segmentation":
                given["multi_class"] = False
            keys.add(key(checked(given)[setting].spec.networks[name]))
        assert len(keys) == kinds


@pytest.mark.parametrize("weights", ["trained_head", "fine_tuned", "trained"])
def test_a_network_counts_with_its_preprocessing_and_the_published_weights_that_it_starts_from(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network() -> str:
        own = {"architecture": "efficientnet_lite0", "weights": weights}
        spec = checked(changed(change("multi_class.networks.classifier", own)))["multi_class"].spec
        return key(spec.networks["classifier"])

    before, lite0 = network(), architecture("efficientnet_lite0")
    sharper = replace(lite0.preprocessing, interpolation="bilinear", revision=99)
    monkeypatch.setitem(ARCHITECTURES, "efficientnet_lite0", replace(lite0, preprocessing=sharper))
    assert network() != before
    monkeypatch.setitem(models.ARCHITECTURES, "efficientnet_lite0", replace(lite0, weights_digest="other"))
    assert (network() != before) == (WEIGHTS[weights].start == "published")


def test_what_matters_is_plain_and_the_same_after_it_was_stored() -> None:
    for spec in GIVEN.values():
        stored = json.loads(json.dumps(spec.what_matters()))
        assert digest(stored) == key(spec)
