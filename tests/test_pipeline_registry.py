"""Registered pipelines: one per stage, and the default one runs all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline

from scaling_ood import structure
from scaling_ood.pipeline_registry import STAGES, register_pipelines

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Pipeline]]:
    monkeypatch.setattr(structure, "_bound", {})
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    monkeypatch.chdir(PROJECT)
    bootstrap_project(PROJECT)
    return register_pipelines()


def test_there_is_one_pipeline_per_stage_a_default_and_the_comparison(registered: dict[str, Pipeline]) -> None:
    assert registered.keys() == {"__default__", "comparison", *STAGES}


def test_the_comparison_takes_what_benchmarks_left_and_is_no_part_of_a_run(registered: dict[str, Pipeline]) -> None:
    alone = registered["comparison"]
    assert {name.split("_")[0] for name in alone.inputs()} == {"all"}
    assert not set(alone.nodes) & set(registered["__default__"].nodes)
    assert not alone.datasets() & registered["__default__"].datasets()


def test_the_default_pipeline_is_all_stages(registered: dict[str, Pipeline]) -> None:
    names = [{node.name for node in registered[stage].nodes} for stage in STAGES]
    assert {node.name for node in registered["__default__"].nodes} == set.union(*names)
    assert sum(map(len, names)) == len(registered["__default__"].nodes)


def test_stages_follow_one_another_and_nothing_points_back(registered: dict[str, Pipeline]) -> None:
    for place, stage in enumerate(STAGES):
        later = [registered[name] for name in STAGES[place + 1 :]]
        made_later = set().union(*(pipeline.all_outputs() for pipeline in later))
        assert not registered[stage].all_inputs() & made_later


def test_the_whole_needs_nothing_but_parameters_and_the_image_root(registered: dict[str, Pipeline]) -> None:
    needed = {name for name in registered["__default__"].inputs() if not name.startswith("params:")}
    assert needed == {"data_root"}


def test_every_node_lies_in_the_namespace_of_its_setting_and_bears_its_tag(registered: dict[str, Pipeline]) -> None:
    for node in registered["__default__"].nodes:
        setting = str(node.namespace).split(".")[0]
        assert setting in structure.setting_specs()
        assert setting in node.tags


SCORED = {"fit_and_score", "measure_detector", "record_detector"}


def own_networks() -> set[str]:
    scenes = structure.scene_settings()
    return {f"{name}.{detector}" for name, spec in scenes.items() for detector in structure.own_networks(spec)}


def test_a_detector_is_a_namespace_that_only_reads_what_the_setting_extracted(
    registered: dict[str, Pipeline],
) -> None:
    scoring = registered["score_extraction"]
    for setting, spec in structure.setting_specs().items():
        for detector in set(structure.detectors_of(spec)) - {name.split(".")[1] for name in own_networks()}:
            (node,) = scoring.only_nodes_with_namespaces([f"{setting}.{detector}"]).nodes
            assert f"{setting}.outputs" in node.inputs
            assert node.outputs == [f"{setting}.{detector}.scores"]
            assert f"params:{setting}.detectors.{detector}" in node.inputs


def test_a_detector_with_a_network_of_its_own_trains_and_runs_it_in_its_namespace(
    registered: dict[str, Pipeline],
) -> None:
    assert own_networks() == {"segmentation.confidence_branch", "segmentation.autoencoder"}
    for detector in own_networks():
        alone = registered["__default__"].only_nodes_with_namespaces([detector])
        setting = detector.split(".")[0]
        assert {name for name in alone.inputs() if not name.startswith("params:")} == {
            f"{setting}.manifest",
            f"{setting}.preparation",
        }
        assert {f"{detector}.{product}" for product in ("model", "training_run", "outputs", "accuracy")} <= (
            alone.all_outputs()
        )


def test_what_one_detectors_network_makes_only_that_detector_reads(registered: dict[str, Pipeline]) -> None:
    for node in registered["__default__"].nodes:
        for detector in own_networks():
            inner = {f"{detector}.{product}" for product in ("model", "outputs", "training_run")}
            assert node.namespace == detector or not inner & set(node.inputs)


def test_a_setting_or_a_detector_can_be_run_alone(registered: dict[str, Pipeline]) -> None:
    whole = registered["__default__"]
    for setting, spec in structure.setting_specs().items():
        assert {node.namespace.split(".")[0] for node in whole.only_nodes_with_namespaces([setting]).nodes} == {setting}
        for detector in structure.detectors_of(spec):
            alone = whole.only_nodes_with_namespaces([f"{setting}.{detector}"])
            assert {node.short_name for node in alone.nodes} >= SCORED


def test_there_is_no_namespace_of_a_detector_that_is_switched_off(
    registered: dict[str, Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {node.namespace for node in registered["__default__"].nodes}
    parameters = structure._without_session()
    setting = next(name for name in structure.SETTINGS if parameters.get(name))
    off = {**parameters[setting]["detectors"], "energy": False}
    structure.bind({**parameters, setting: {**parameters[setting], "detectors": off}})
    assert whole - {node.namespace for node in register_pipelines()["__default__"].nodes} == {f"{setting}.energy"}


def test_a_setting_that_is_switched_off_has_no_node(
    registered: dict[str, Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = structure._without_session()
    structure.bind({**parameters, "segmentation": False})
    settings = {str(node.namespace).split(".")[0] for node in register_pipelines()["__default__"].nodes}
    assert settings == {"multi_class"}
