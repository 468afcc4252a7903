"""Registered pipelines: one per stage, and the default one runs all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from environments import bound
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from toy_graph import toy
from toy_parameters import Parameters, change

from scaling_ood import structure
from scaling_ood.pipeline_registry import STAGES, register_pipelines, whole_graph
from scaling_ood.tasks import tasks

PROJECT = Path(__file__).parents[1]
SETTINGS = [task.name for task in tasks()]
PROVIDED = {"data_root", "segmentation.checkpoint"}


def graph(parameters: Parameters) -> Pipeline:
    with bound(parameters):
        return whole_graph()


def namespaces(pipeline: Pipeline) -> set[str]:
    return {str(node.namespace) for node in pipeline.nodes}


@pytest.fixture(scope="module")
def registered() -> Iterator[dict[str, Pipeline]]:
    """As Kedro makes them, of the toy."""
    bootstrap_project(PROJECT)
    with bound(toy()):
        yield register_pipelines()


@pytest.fixture(scope="module")
def settings() -> dict[str, structure.Setting]:
    return structure.checked(toy())


def test_there_is_one_pipeline_per_stage_a_default_the_packaging_the_comparison_and_the_upload(
    registered: dict[str, Pipeline],
) -> None:
    assert registered.keys() == {"__default__", "packaging", "comparison", "upload", *STAGES}


def test_the_comparison_takes_what_benchmarks_left_and_is_no_part_of_a_run(registered: dict[str, Pipeline]) -> None:
    alone = registered["comparison"]
    assert {name.split("_")[0] for name in alone.inputs()} == {"all"}
    assert not set(alone.nodes) & set(registered["__default__"].nodes)
    assert not alone.datasets() & registered["__default__"].datasets()


def test_the_default_pipeline_is_all_stages(registered: dict[str, Pipeline]) -> None:
    names = [{node.name for node in registered[stage].nodes} for stage in STAGES]
    assert {node.name for node in registered["__default__"].nodes} == set.union(*names)
    assert sum(map(len, names)) == len(registered["__default__"].nodes)
    assert {node.name for node in graph(toy()).nodes} == set.union(*names)


def test_stages_follow_one_another_and_nothing_points_back(registered: dict[str, Pipeline]) -> None:
    for place, stage in enumerate(STAGES):
        later = [registered[name] for name in STAGES[place + 1 :]]
        made_later = set().union(*(pipeline.all_outputs() for pipeline in later))
        assert not registered[stage].all_inputs() & made_later


def test_the_whole_needs_nothing_but_parameters_and_what_a_person_provides(registered: dict[str, Pipeline]) -> None:
    needed = {name for name in registered["__default__"].inputs() if not name.startswith("params:")}
    assert needed == PROVIDED


def test_every_parameter_that_a_node_takes_is_handed_over_typed(registered: dict[str, Pipeline]) -> None:
    with bound(toy()):
        typed = structure.typed_parameters().keys()
    taken = {name.removeprefix("params:") for name in registered["__default__"].inputs() if name.startswith("params:")}
    assert taken <= typed | {"benchmark"}


def test_every_node_lies_in_the_namespace_of_its_setting_and_bears_its_tag(registered: dict[str, Pipeline]) -> None:
    for node in registered["__default__"].nodes:
        setting = str(node.namespace).split(".")[0]
        assert setting in SETTINGS
        assert node.tags == {setting}
        assert all(name.startswith(f"{setting}.") for name in node.outputs)


def test_a_detector_is_a_namespace_that_only_reads_what_its_network_left(
    registered: dict[str, Pipeline], settings: dict[str, structure.Setting]
) -> None:
    for name, (_, spec) in settings.items():
        for detector, method in spec.methods.items():
            nodes = [node for node in registered["score_extraction"].nodes if node.namespace == f"{name}.{detector}"]
            scoring = next(node for node in nodes if node.short_name == "score_images")
            read = {f"{name}.{method.network}.outputs", f"{name}.{method.network}.quality", f"{name}.manifest"}
            assert set(scoring.inputs) == read | {f"params:{name}.detectors.{detector}"}
            assert scoring.outputs == [f"{name}.{detector}.scores"]


def test_a_network_is_a_namespace_that_trains_passes_and_judges_it(
    registered: dict[str, Pipeline], settings: dict[str, structure.Setting]
) -> None:
    for name, (_, spec) in settings.items():
        for network in spec.used_networks:
            alone = registered["__default__"].only_nodes_with_namespaces([f"{name}.{network}"])
            made = {f"{name}.{network}.{product}" for product in ("model", "outputs", "quality")}
            assert made <= alone.all_outputs()
            needed = {given for given in alone.inputs() if not given.startswith("params:")}
            shared = {f"{name}.{spec.shared}.{product}" for product in ("outputs", "features")}
            assert needed <= {f"{name}.manifest", f"{name}.checkpoint", *shared}


def test_heads_on_one_frozen_backbone_read_its_images_once(registered: dict[str, Pipeline]) -> None:
    names = {node.name for node in registered["__default__"].nodes}
    assert {name for name in names if "extract_features" in name} == {
        "multi_class.classifier.extract_features",
        "multi_label.classifier.extract_features",
    }
    for network in ("families", "confidence_branch"):
        (extract,) = [
            node for node in registered["__default__"].nodes if node.name == f"multi_class.{network}.extract_outputs"
        ]
        assert "multi_class.classifier.outputs" in extract.inputs


def test_a_setting_or_a_detector_can_be_run_alone(
    registered: dict[str, Pipeline], settings: dict[str, structure.Setting]
) -> None:
    whole = registered["__default__"]
    for name, (_, spec) in settings.items():
        assert {each.split(".")[0] for each in namespaces(whole.only_nodes_with_namespaces([name]))} == {name}
        for detector in spec.methods:
            alone = whole.only_nodes_with_namespaces([f"{name}.{detector}"])
            assert {node.short_name for node in alone.nodes} >= {"score_images", "measure_scores"}


def test_what_is_switched_off_has_no_node() -> None:
    whole = namespaces(graph(toy()))
    assert whole - namespaces(graph(toy(change("multi_class.detectors.energy", False)))) == {"multi_class.energy"}
    assert {each.split(".")[0] for each in namespaces(graph(toy(change("segmentation", False))))} == {
        "multi_class",
        "multi_label",
    }


def test_a_network_that_no_detector_reads_is_not_made() -> None:
    whole = namespaces(graph(toy()))
    assert "multi_class.dropout" not in whole
    assert "multi_class.families" in whole
    without = namespaces(graph(toy(change("multi_class.detectors.families_msp", False))))
    assert whole - without == {"multi_class.families", "multi_class.families_msp"}


def test_images_are_rendered_and_curated_only_where_the_benchmark_says_so() -> None:
    def functions(pipeline: Pipeline) -> set[str]:
        return {node.name for node in pipeline.nodes if node.short_name in ("fabricate_images", "curate_images")}

    assert functions(graph(toy())) == {
        "multi_class.fabricate_images",
        "multi_label.fabricate_images",
        "segmentation.fabricate_images",
        "multi_class.curate_images",
    }
    plain = toy(
        change("data_sets.squares.curation", None), *(change(f"{name}.fabrication", False) for name in SETTINGS)
    )
    assert functions(graph(plain)) == set()


def test_graphs_of_two_environments_in_one_process_do_not_mix() -> None:
    one, other = toy(), toy(change("multi_label", False), change("multi_class.detectors", {"msp": {}}))
    first = namespaces(graph(one))
    assert {each for each in namespaces(graph(other)) if each.startswith("multi_class")} == {
        "multi_class",
        "multi_class.classifier",
        "multi_class.msp",
    }
    assert namespaces(graph(one)) == first
