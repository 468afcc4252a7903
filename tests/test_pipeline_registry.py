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


def readers() -> dict[str, set[str]]:
    """Namespace of each network that single detectors read, to theirs."""
    found: dict[str, set[str]] = {}
    for setting, spec in (structure.image_settings() | structure.scene_settings()).items():
        for detector, network in structure.own_networks(spec).items():
            found.setdefault(f"{setting}.{network}", set()).add(f"{setting}.{detector}")
    return found


def test_a_detector_is_a_namespace_that_only_reads_what_the_setting_or_a_network_extracted(
    registered: dict[str, Pipeline],
) -> None:
    scoring = registered["score_extraction"]
    source = {detector: network for network, detectors in readers().items() for detector in detectors}
    for setting, spec in structure.setting_specs().items():
        for detector in {f"{setting}.{name}" for name in structure.detectors_of(spec)} - readers().keys():
            (node,) = scoring.only_nodes_with_namespaces([detector]).nodes
            assert f"{source.get(detector, setting)}.outputs" in node.inputs
            assert node.outputs == [f"{detector}.scores"]
            assert f"params:{detector.replace('.', '.detectors.')}" in node.inputs


def test_a_network_that_single_detectors_read_is_trained_and_run_in_a_namespace_of_its_own(
    registered: dict[str, Pipeline],
) -> None:
    assert readers() == {
        "multi_class.confidence_branch": {"multi_class.confidence_branch"},
        "multi_class.rotation_network": {"multi_class.rotation_msp", "multi_class.rotation_max_logit"},
        "segmentation.confidence_branch": {"segmentation.confidence_branch"},
        "segmentation.autoencoder": {"segmentation.autoencoder"},
    }
    data = {"manifest", "preparation"}
    # Heads on the classifiers' frozen backbone stand on the features that it left.
    read = {"multi_class": data | {"training_features", "outputs", "accuracy"}, "segmentation": data}
    for network in readers():
        alone = registered["__default__"].only_nodes_with_namespaces([network])
        setting = network.split(".")[0]
        needed = {name for name in alone.inputs() if not name.startswith("params:")}
        assert needed == {f"{setting}.{name}" for name in read[setting]}
        made = {f"{network}.{product}" for product in ("model", "training_run", "outputs", "accuracy")}
        assert made <= alone.all_outputs()


def test_what_a_network_makes_only_its_detectors_read(registered: dict[str, Pipeline]) -> None:
    for node in registered["__default__"].nodes:
        for network, detectors in readers().items():
            inner = {f"{network}.{product}" for product in ("model", "outputs", "training_run", "turned_features")}
            assert node.namespace in {network, *detectors} or not inner & set(node.inputs)


def test_a_network_that_no_detector_reads_is_not_there(registered: dict[str, Pipeline]) -> None:
    whole = {node.namespace for node in registered["__default__"].nodes}
    parameters = structure._without_session()
    switches = {**parameters["multi_class"]["detectors"], "rotation_msp": False}
    for rest, gone in ((False, {"rotation_msp", "rotation_max_logit", "rotation_network"}), ({}, {"rotation_msp"})):
        detectors = {**switches, "rotation_max_logit": rest}
        structure.bind({**parameters, "multi_class": {**parameters["multi_class"], "detectors": detectors}})
        left = {node.namespace for node in register_pipelines()["__default__"].nodes}
        assert whole - left == {f"multi_class.{name}" for name in gone}


def test_the_rotation_loss_is_read_from_passes_over_the_images(registered: dict[str, Pipeline]) -> None:
    parameters = structure._without_session()
    for rotation, source in ((False, "outputs"), ({}, "manifest")):
        detectors = {**parameters["multi_class"]["detectors"], "rotation": rotation}
        structure.bind({**parameters, "multi_class": {**parameters["multi_class"], "detectors": detectors}})
        scoring = register_pipelines()["score_extraction"]
        (extract,) = [node for node in scoring.nodes if node.name == "multi_class.rotation_network.extract_outputs"]
        assert {f"multi_class.{name}" for name in ("outputs", "manifest")} & set(extract.inputs) == {
            f"multi_class.{source}"
        }


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
    assert settings == {"multi_class", "multi_label"}
