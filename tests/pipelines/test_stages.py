"""The graphs of the stages, as templates over settings: names, namespaces, and nothing that is not used."""

import inspect

import pytest
from helpers.bench import bound, only, variant
from helpers.toys import TOYS
from kedro.pipeline import Pipeline

from scaling_ood.pipeline_registry import STAGES
from scaling_ood.pipelines import comparison, data_preparation, metric_reporting, model_training, score_extraction

PACKAGES = dict(zip(STAGES, (data_preparation, model_training, score_extraction, metric_reporting), strict=True))
SETTINGS = list(TOYS)


@pytest.fixture(params=SETTINGS)
def own(request, benches):
    return benches(request.param)


def stages_of(made):
    with bound(made.parameters):
        return {name: package.create_pipeline() for name, package in PACKAGES.items()}


def names(pipeline):
    return {node.name for node in pipeline.nodes}


def test_the_nodes_are_those_of_the_documented_graph_each_in_the_namespace_of_its_owner(own):
    stages, spec = stages_of(own), own.spec
    networks, detectors = list(spec.used_networks), list(spec.methods)
    owners = {name for name, owner in own.task.feature_owners(spec).items() if name == owner}
    maps = {"map_scores"} if spec.dense else set()
    expected = {
        "data_preparation": {"prepare_manifest"},
        "model_training": {
            "record_trainings",
            *(f"{name}.train_networks" for name in networks),
            *(f"{name}.extract_features" for name in owners),
        },
        "score_extraction": {
            *(f"{name}.{function}" for name in networks for function in ("extract_outputs", "check_quality")),
            *(f"{name}.score_images" for name in detectors),
        },
        "metric_reporting": {
            "collect_results", "collect_metrics", "draw_report", "record_runs", *maps,
            *(f"{name}.measure_scores" for name in detectors),
        },
    }  # fmt: skip
    assert {name: names(stage) for name, stage in stages.items()} == {
        name: {own.full(node) for node in nodes} for name, nodes in expected.items()
    }
    for node in own.graph.nodes:
        assert own.setting in node.tags


def test_stages_follow_one_another_and_the_whole_needs_nothing_but_parameters_and_the_image_root(own):
    stages = list(stages_of(own).values())
    for place, stage in enumerate(stages):
        later = set().union(*(other.all_outputs() for other in stages[place + 1 :]))
        assert not stage.all_inputs() & later
    assert {name for name in own.graph.inputs() if not name.startswith("params:")} == {"data_root"}


def test_no_node_takes_what_it_does_not_use(own):
    """Every argument stands in the code of the function, or is one that the key is made of."""
    for node in own.graph.nodes:
        function = getattr(node.func, "__wrapped__", node.func)
        source = inspect.getsource(function).split('"""', 2)[2]
        parameters = inspect.signature(function).parameters.values()
        for parameter in (each.name for each in parameters if each.kind is not each.VAR_KEYWORD):
            assert parameter in source, f"{node.name} takes {parameter}"
        assert len(node.inputs) == len(set(node.inputs))


def test_every_product_is_read_or_shown(own):
    ends = {"report", "runs", *(["metrics"] if len(own.task.shown_networks(own.spec)) == 1 else [])}
    assert own.graph.outputs() == {own.full(name) for name in ends}


def test_a_detector_reads_what_its_network_left_and_nothing_of_the_others(own):
    for name, method in own.spec.methods.items():
        (node,) = (each for each in own.graph.nodes if each.name == own.full(f"{name}.score_images"))
        read = {given for given in node.inputs if not given.startswith("params:")}
        assert read == {
            own.full(each) for each in (f"{method.network}.outputs", f"{method.network}.quality", "manifest")
        }
        assert node.outputs == [own.full(f"{name}.scores")]
        assert f"params:{own.setting}.detectors.{name}" in node.inputs


def test_a_network_or_a_detector_can_be_run_alone(own):
    for name in own.spec.methods.keys() - own.spec.networks.keys():
        alone = own.graph.only_nodes_with_namespaces([own.full(name)])
        assert {node.short_name for node in alone.nodes} == {"score_images", "measure_scores"}
    for name in own.spec.used_networks.keys() - own.spec.methods.keys():
        alone = own.graph.only_nodes_with_namespaces([own.full(name)])
        assert {"train_networks", "extract_outputs", "check_quality"} <= {node.short_name for node in alone.nodes}
    assert names(own.graph.only_nodes_with_namespaces([own.setting])) == names(own.graph)


def test_what_is_off_is_not_there(own, tmp_path):
    off = variant(own, tmp_path, detectors__energy=False)
    gone = {own.full(f"energy.{function}") for function in ("score_images", "measure_scores")}
    assert names(own.graph) - names(off.graph) == gone


def test_a_network_that_no_detector_reads_is_not_there(benches, tmp_path):
    own = benches("multi_class")
    switches = {"detectors__rotation": False, "detectors__rotation_msp": False}
    gone = names(own.graph) - names(variant(own, tmp_path, **switches).graph)
    functions = ("extract_features", "train_networks", "extract_outputs", "check_quality")
    assert gone >= {f"multi_class.rotation.{function}" for function in functions}
    # The loss of the rotations alone takes other images than those that the shared network has seen.
    (extract,) = (
        node
        for node in variant(own, tmp_path, detectors__rotation=False).graph.nodes
        if node.name == "multi_class.rotation.extract_outputs"
    )
    assert "multi_class.classifier.outputs" in extract.inputs


def test_heads_on_the_shared_backbone_read_its_outputs(benches):
    own = benches("multi_class")
    for name, reads in (("families", True), ("dropout", True), ("rotation", False), ("classifier", False)):
        (node,) = (each for each in own.graph.nodes if each.name == f"multi_class.{name}.extract_outputs")
        assert ("multi_class.classifier.outputs" in node.inputs) == reads


def test_rendering_curation_and_checkpoints_have_nodes_and_inputs_where_they_are_asked_for(benches, tmp_path):
    own = benches("multi_class")
    curated = variant(own, tmp_path / "curated", data_sets__greens__curation={"flags": "flags.csv"})
    assert names(curated.graph) - names(own.graph) == {"multi_class.curate_images"}
    network = {"classifier": {"architecture": "toy", "weights": "checkpoint"}}
    given = variant(own, tmp_path / "file", networks=network, data__train=None, detectors=only("msp"))
    assert "multi_class.checkpoint" in given.graph.inputs()
    rendered = variant(own, tmp_path / "rendered", fabrication={"seed": 1})
    assert names(rendered.graph) - names(own.graph) == {"multi_class.fabricate_images"}


def test_settings_stand_side_by_side_and_one_that_is_off_has_no_node(benches, tmp_path):
    parameters = {}
    for setting in SETTINGS:
        parameters |= benches(setting).parameters
    with bound(parameters):
        whole = sum((package.create_pipeline() for package in PACKAGES.values()), Pipeline([]))
    assert names(whole) == set().union(*(names(benches(setting).graph) for setting in SETTINGS))
    with bound({**parameters, "segmentation": False}):
        assert {name.split(".")[0] for name in names(metric_reporting.create_pipeline())} == {
            "multi_class",
            "multi_label",
        }


def test_the_comparison_takes_what_benchmarks_left_and_is_no_part_of_a_run(own):
    alone = comparison.create_pipeline()
    assert alone.inputs() == {"all_results", "all_qualities", "all_manifests"}
    assert not alone.datasets() & own.graph.datasets()
    assert alone.outputs() == {"tables_html", "tables_markdown", "tables_latex", "tables_csv"}
