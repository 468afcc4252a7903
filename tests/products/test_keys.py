"""Keys come from the graph: what can change a product changes its key, and nothing else does.

The contracts run over every keyed node of every setting, so that a new node or parameter is held to them too.
"""

import inspect
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy_graph import TABLE, KeyedNode, keyed_nodes, manifest, toy

from scaling_ood.parameters.common import RuntimeSpec, Spec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.preparing import PreprocessingSpec
from scaling_ood.products.keys import NOT_MADE, Origin, differences, keyed, stamped, what_counts
from scaling_ood.products.preparation import Findings, Manifest, Place
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredParts

ORDER = Path(__file__).parents[1] / "helpers/class_order.txt"
NODES = {each.node.name: each for each in keyed_nodes(toy())}
SAMPLE = {(each.setting.task.name, each.node.short_name, *sorted(each.node._inputs)): each for each in NODES.values()}


@pytest.fixture(params=SAMPLE.values(), ids=lambda each: each.node.name)
def node(request: pytest.FixtureRequest) -> KeyedNode:
    """One node of each function, setting and set of inputs."""
    return request.param  # type: ignore[no-any-return]


def test_the_toy_has_every_kind_of_node() -> None:
    assert {each.node.short_name for each in NODES.values()} == {
        *("fabricate_images", "curate_images", "prepare_manifest"),
        *("extract_features", "train_networks"),
        *("extract_outputs", "check_quality", "score_images"),
        *("measure_scores", "map_scores"),
        *("collect_results", "collect_metrics", "draw_report", "record_runs"),
    }
    given = {argument for each in NODES.values() for argument in each.node._inputs}
    assert {"fabricated", "curation", "features", "checkpoint"} <= given


def test_a_key_is_the_same_whoever_asks(node: KeyedNode) -> None:
    assert node.key() == node.key()
    assert len({each.key() for each in NODES.values() if each.node.short_name != "prepare_manifest"}) > len(SAMPLE) / 2


def test_a_key_changes_with_each_product_that_the_node_is_given(node: KeyedNode) -> None:
    for argument, value in node.inputs().items():
        if isinstance(value, Manifest) or not (
            hasattr(value, "origin") or isinstance(value, ProvidedFile | pd.DataFrame)
        ):
            continue
        other = TABLE.assign(reason="flagged") if isinstance(value, pd.DataFrame) else None
        other = ProvidedFile("/weights.pth", "b" * 64) if isinstance(value, ProvidedFile) else other
        other = replace(value, origin=Origin("made otherwise")) if other is None else other
        assert node.key(**{argument: other}) != node.key(), argument


def test_a_key_changes_with_every_parameter_that_can_change_a_result_and_with_no_other(node: KeyedNode) -> None:
    for argument, value in node.inputs().items():
        if not isinstance(value, Spec) or isinstance(value, RuntimeSpec):
            continue
        for field in type(value).model_fields:
            if isinstance(value, NetworkSpec) and field in ("weights", "architecture", "head"):
                continue  # names that mean something: below
            words = {"preprocessing": PreprocessingSpec(mean=(0.1, 0.2, 0.3)), "class_order": str(ORDER)}
            other = value.model_copy(update={field: words.get(field, "another value")})
            task = node.setting.task
            of = {"extract_features": task.seen, "train_networks": task.learns}.get(node.node.short_name)
            counts = of(other) != of(value) if of else other.what_matters() != value.what_matters()  # type: ignore[arg-type]
            counts &= node.node.short_name != "map_scores"  # which maps there are is a matter of its parts
            if node.node.short_name == "fabricate_images":
                continue  # its fields are those of the request
            assert (node.key(**{argument: other}) != node.key()) == counts, f"{argument}.{field}"


def test_no_key_changes_with_device_workers_folders_or_the_benchmarks_name(node: KeyedNode) -> None:
    inputs = node.inputs()
    elsewhere = {"data_root": "/elsewhere", "benchmark": "renamed"}
    runtime = {"runtime": RuntimeSpec(device="cuda:1", workers=7, batch_images=3, channels_last=False)}
    given = {name: value for name, value in {**elsewhere, **runtime}.items() if name in inputs}
    if "checkpoint" in inputs:
        given["checkpoint"] = replace(inputs["checkpoint"], path="/moved.pth")
    for argument, value in inputs.items():
        if isinstance(value, StoredParts):
            given[argument] = replace(value, folder=Path("/moved"), about={"device": "another"})
        if isinstance(value, StoredModel):
            given[argument] = replace(value, path=Path("/moved"), about={"device": "another"})
    assert node.key(**given) == node.key()


READS_IMAGES = {
    "extract_features": lambda task, network, record: task.training_sets,
    "train_networks": lambda task, network, record: task.training_sets if network.source.trains else (),
    "extract_outputs": lambda task, network, record: task.passed_sets(network, record),
    "check_quality": lambda task, network, record: task.passed_sets(network, record),
    "score_images": lambda task, network, record: record.digests,
    **dict.fromkeys(
        ("measure_scores", "collect_results", "draw_report", "record_runs"),
        lambda task, network, record: record.digests,
    ),
}


def test_a_key_changes_with_the_content_of_exactly_the_image_sets_that_are_read(node: KeyedNode) -> None:
    inputs = node.inputs()
    if node.node.short_name not in READS_IMAGES:
        assert "manifest" not in inputs or node.node.short_name == "map_scores"
        return
    record = inputs["manifest"].preparation
    read = set(READS_IMAGES[node.node.short_name](node.setting.task, inputs.get("network"), record))
    assert read <= set(record.digests)
    for name in record.digests:
        other = manifest(node.setting, digests=record.digests | {name: "other"})
        assert (node.key(manifest=other) != node.key()) == (name in read), name
    assert node.key(manifest=manifest(node.setting, classes=("b", "a"))) != node.key()


def test_no_key_changes_with_what_is_only_told_of_images(node: KeyedNode) -> None:
    inputs = node.inputs()
    if node.node.short_name not in READS_IMAGES:
        return
    given = inputs["manifest"]
    place = {name: Place(root="fabricated", folder="moved") for name in given.preparation.places}
    other = manifest(node.setting, benchmark="renamed", places=place, found=Findings(unreadable=3, notes=("x",)))
    other = replace(other, roots={"photographs": "/moved"}, origin=Origin("prepared again"))
    assert node.key(manifest=other) == node.key()


def test_the_architecture_and_the_source_of_the_weights_are_part_of_every_key_of_a_network() -> None:
    for each in NODES.values():
        network = each.inputs().get("network")
        if network is None or each.node.short_name == "extract_features" or network.objective == "reconstruction":
            continue
        others = {"architecture": "pspnet_resnet18" if each.setting.spec.dense else "resnet18", "weights": "fine_tuned"}
        for field, word in others.items():
            assert each.key(network=network.model_copy(update={field: word})) != each.key(), field


def test_what_belongs_to_another_objective_counts_in_no_key_of_a_network() -> None:
    confidence = {"budget": 0.4, "price_weight": 0.2, "unit": "image"}
    for name, fields, counts in (
        ("multi_class.classifier", {**confidence, "rotation_weight": 2.0}, False),
        ("multi_class.confidence_branch", confidence, True),
        ("multi_class.confidence_branch", {"rotation_weight": 2.0}, False),
    ):
        train = NODES[f"{name}.train_networks"]
        for field, value in fields.items():
            other = train.inputs()["network"].model_copy(update={field: value})
            assert (train.key(network=other) != train.key()) == counts, f"{name}: {field}"


def test_what_is_stored_counts_in_the_key_of_outputs_and_the_method_in_that_of_scores() -> None:
    outputs = [each for each in NODES.values() if each.node.short_name == "extract_outputs"]
    for each in outputs:
        parameters = inspect.signature(each.node.func).parameters
        assert "needs" not in parameters  # fixed by the graph
        assert each.origin().made_from["needs"]  # type: ignore[attr-defined]
    scores = next(each for each in NODES.values() if each.node.short_name == "score_images")
    methods = [Method("msp", "msp"), Method("energy", "energy"), Method("energy", "energy", {"temperature": 2.0})]
    assert len({scores.key(detector=method) for method in methods}) == len(methods)
    assert scores.key(detector=Method("other name", "msp")) == scores.key(detector=methods[0])


def test_the_setting_counts_since_its_code_differs() -> None:
    for name in ("extract_outputs", "check_quality", "score_images", "measure_scores"):
        own = {each.origin().made_from["task"] for each in NODES.values() if name in each.node.name}  # type: ignore[attr-defined]
        assert len(own) == 3


@dataclass(frozen=True)
class Thing:
    size: int
    origin: Origin = NOT_MADE


@keyed(version=2, table=lambda given: list(given["table"].columns))
def make_things(table: pd.DataFrame, folder: str, sizes: tuple[int, ...] = (), **parts: Thing) -> Any:
    """Two things."""
    return Thing(len(table)), {"inner": Thing(len(parts))}


def test_a_node_stamps_each_of_its_products_with_what_it_was_made_from() -> None:
    one, inner = make_things(TABLE, "/here", part=Thing(1, Origin("a")))
    assert one.origin == inner["inner"].origin
    assert one.origin.node == "make_things"
    assert one.origin.version == 2
    assert one.origin.made_from == {"table": ["id", "reason"], "part": Origin("a").key}


def test_key_name_version_and_all_that_counts_tell_origins_apart() -> None:
    origins = [Origin("a"), Origin("b"), Origin("a", 2), Origin("a", 1, {"x": 1}), Origin("a", 1, {"y": 1})]
    assert len({origin.key for origin in origins}) == len(origins)
    for origin in origins:
        assert Origin.of_record({**origin.record(), "more": 1}) == origin


def test_outside_of_a_graph_and_inside_a_product_gets_the_same_key() -> None:
    node = make_things.bind(folder="/there")
    assert "folder" not in inspect.signature(node).parameters
    inside, _ = node(table=TABLE, part=Thing(1, Origin("a")))
    outside, _ = make_things(TABLE, "/here", part=Thing(1, Origin("a")))
    assert inside.origin == outside.origin == node.origin_of({"table": TABLE, "part": Thing(1, Origin("a"))})  # type: ignore[attr-defined]


def test_what_bears_no_key_is_left_as_it_is() -> None:
    assert stamped((TABLE, "x", {"a": 1}), Origin("a"))[1:] == ("x", {"a": 1})
    assert [what_counts(value) for value in ("text", 3, None, ["a"], RuntimeSpec())] == [None] * 5


def test_a_table_counts_by_its_content() -> None:
    others = [TABLE.assign(reason="x"), TABLE[::-1], TABLE.rename(columns={"id": "name"}), TABLE.iloc[:1]]
    assert what_counts(TABLE.set_index(pd.Index([7, 9]))) == what_counts(TABLE)
    assert len({what_counts(TABLE), *map(what_counts, others)}) == 5


def test_differences_are_told_by_place_with_both_values() -> None:
    then = {"epochs": 30, "seeds": [0], "data": {"ood": ["a"], "seed": 0}, "gone": "x"}
    now = {"epochs": 10, "seeds": [0], "data": {"ood": ["a", "b"], "seed": 0}, "new": True}
    assert list(differences(then, now, "multi_class")) == [
        "multi_class.epochs was 30, is 10",
        'multi_class.data.ood was ["a"], is ["a", "b"]',
        'multi_class.gone was "x", is absent',
        "multi_class.new was absent, is true",
    ]
    assert list(differences(then, then)) == []
