"""A stored product that the present parameters would make otherwise is stale, and the reason is what changed."""

from dataclasses import dataclass
from typing import Any

import pytest
from toy_graph import keyed_nodes, toy
from toy_parameters import change

from scaling_ood.products.keys import NOT_MADE, Origin, keyed
from scaling_ood.products.staleness import Graph


@dataclass(frozen=True)
class Made:
    origin: Origin = NOT_MADE


@dataclass(frozen=True)
class Options:
    epochs: int = 30
    seeds: tuple[int, ...] = (0,)

    def what_matters(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "seeds": list(self.seeds)}


@keyed()
def train(network: Options, images: Made) -> Made:
    """Weights."""
    return Made()


@keyed()
def score(model: Made, options: Options) -> Made:
    """Scores."""
    return Made()


@keyed()
def collect(scores: Made) -> str:
    """A table, which bears no origin."""
    return "a table"


@keyed(version=2)
def later_train(network: Options, images: Made) -> Made:
    """Weights, made otherwise."""
    return Made()


PRODUCERS: Any = {
    "s.model": (train.origin, {"network": "params:s.networks.classifier", "images": "s.images"}),
    "s.scores": (score.origin, {"model": "s.model", "options": "params:s.detectors.msp"}),
}


def stored() -> dict[str, Any]:
    """What a run with the defaults has left."""
    images = Made(Origin("prepare"))
    model = train(Options(), images)
    return {
        "s.images": images,
        "s.model": model,
        "s.scores": score(model, Options()),
        "params:s.networks.classifier": Options(),
        "params:s.detectors.msp": Options(),
    }


def reasons(name: str, producers: Any = PRODUCERS, **there: Any) -> tuple[str, ...]:
    found = stored() | {key.replace("__", ".").replace("params_", "params:"): value for key, value in there.items()}
    return Graph(producers, found.get).reasons(name)


def test_what_a_run_has_left_is_not_stale() -> None:
    assert reasons("s.model") == reasons("s.scores") == reasons("s.images") == ()


def test_a_changed_parameter_is_told_by_its_place_in_the_yaml_with_both_values() -> None:
    told = reasons("s.model", params_s__networks__classifier=Options(epochs=10, seeds=(0, 1)))
    assert told == (
        "s.networks.classifier.epochs was 30, is 10",
        "s.networks.classifier.seeds was [0], is [0, 1]",
    )


def test_what_is_made_from_something_stale_is_stale_for_the_same_reason() -> None:
    told = reasons("s.scores", params_s__networks__classifier=Options(epochs=10), params_s__detectors__msp=Options(3))
    assert told == ("s.networks.classifier.epochs was 30, is 10",)


def test_a_table_that_has_no_record_is_stale_where_what_it_was_made_from_is() -> None:
    producers = PRODUCERS | {"s.results": (collect.origin, {"scores": "s.scores"})}
    changed = {"params_s__networks__classifier": Options(epochs=10)}
    assert reasons("s.results", producers, s__results="a table") == ()
    assert reasons("s.results", producers, s__results="a table", **changed) == (
        "s.networks.classifier.epochs was 30, is 10",
    )


def test_a_product_that_was_made_anew_makes_stale_what_was_made_from_the_old_one() -> None:
    (told,) = reasons(
        "s.scores",
        s__model=train(Options(epochs=10), Made(Origin("prepare"))),
        **{"params_s__networks__classifier": Options(epochs=10)},
    )
    assert told.startswith("s.model was ")


def test_what_is_not_there_any_more_makes_nothing_stale() -> None:
    assert reasons("s.model", s__images=None) == ()
    assert reasons("s.scores", s__model=None) == ()
    assert reasons("s.scores", s__scores=None) == ()


def test_another_version_of_a_node_makes_its_products_stale() -> None:
    producers = PRODUCERS | {"s.model": (later_train.origin, PRODUCERS["s.model"][1])}
    assert reasons("s.model", producers) == ("s.model was made by another version of this software",)
    assert reasons("s.scores", producers) == ("s.model was made by another version of this software",)


def test_what_no_node_makes_is_never_stale() -> None:
    assert reasons("s.images", s__images=Made(Origin("another"))) == ()
    assert reasons("data_root", data_root="/photographs") == ()


def test_each_product_is_read_once_whatever_number_of_products_is_made_from_it() -> None:
    read: list[str] = []
    found = stored()

    def peek(name: str) -> Any:
        read.append(name)
        return found.get(name)

    graph = Graph(PRODUCERS, peek)
    for name in ("s.scores", "s.model", "s.scores"):
        assert graph.reasons(name) == ()
    assert len(read) == len(set(read))


@pytest.mark.parametrize(
    ("path", "value", "product", "reason"),
    [
        ("multi_class.networks.classifier.epochs", 10, "classifier.model", "networks.classifier.epochs was 30, is 10"),
        ("multi_class.networks.classifier.epochs", 10, "families.model", "networks.families.epochs was 30, is 10"),
        ("multi_class.data.fit.per_class", 4, "manifest", "data.fit.per_class was 3, is 4"),
        ("data_sets.animals.images", 9, "manifest", "data.sets.animals.images was absent, is 9"),
        (
            "multi_class.detectors.energy.temperature",
            3.0,
            "energy.scores",
            "detectors.energy.options.temperature was 2.0",
        ),
        (
            "multi_class.extraction",
            {"stored": "float16"},
            "classifier.outputs",
            'extraction.stored was "float32", is "fl',
        ),
        ("multi_class.reporting.fpr_rule", "first", "msp.measured", 'reporting.fpr_rule was "nearest", is "first"'),
        ("multi_class.networks.classifier.least_quality", 0.9, "classifier.model", ""),
        ("multi_class.reporting.caveats", ["beware"], "msp.measured", ""),
        ("runtime.workers", 9, "classifier.outputs", ""),
    ],
)
def test_in_the_real_graph_the_reason_is_the_parameter_that_was_changed(
    path: str, value: object, product: str, reason: str
) -> None:
    name = f"multi_class.{product}"
    before, after = (
        next(node for node in keyed_nodes(parameters) if name in node.node.outputs)
        for parameters in (toy(), toy(change(path, value)))
    )
    found = {source: after.value(source) for source in after.sources.values()}
    found[name] = Made(before.origin())
    told = Graph({name: (after.node.func.origin_of, after.sources)}, found.get).reasons(name)  # type: ignore[attr-defined]
    assert [line[: len(f"multi_class.{reason}")] for line in told] == ([f"multi_class.{reason}"] if reason else [])
