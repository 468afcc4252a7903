"""The real configuration of every benchmark: it resolves, everything has its place, and nothing is left over."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from environments import BENCHMARKS, CONF, Environment, environment

from scaling_ood import structure
from scaling_ood.configuration import ConfigLoader
from scaling_ood.detectors import Need, NotApplicableError, refuse_network
from scaling_ood.pipelines import comparison, upload
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.tasks import tasks

PAPERS_MULTI_LABEL = ("voc", "coco")
PROVIDED = ("data_root", ".checkpoint")
LAYERS = {"raw", "manifests", "models", "outputs", "networks", "scores", "reporting"}


@pytest.fixture(params=BENCHMARKS)
def benchmark(request: pytest.FixtureRequest) -> Environment:
    return environment(request.param)


def place(benchmark: Environment, name: str) -> str:
    return str(benchmark.catalog[name]._describe()["filepath"])


def test_every_benchmark_that_is_described_has_a_folder() -> None:
    assert len(BENCHMARKS) > len(tasks())
    assert all((CONF / name / "parameters.yml").is_file() for name in BENCHMARKS)


def test_its_id_is_the_environments_name(benchmark: Environment) -> None:
    assert benchmark.parameters["benchmark"] == benchmark.name


def test_it_has_exactly_the_settings_that_its_own_file_gives_data(benchmark: Environment) -> None:
    own = benchmark.own()
    assert benchmark.settings
    assert list(benchmark.settings) == [task.name for task in tasks() if "data" in (own.get(task.name) or {})]


def test_ood_sets_and_the_in_distribution_are_those_of_its_own_file(benchmark: Environment) -> None:
    for name, (_, spec) in benchmark.settings.items():
        for field, given in benchmark.own()[name]["data"].items():
            resolved: Any = getattr(spec.data, field)
            if field in ("ood", "in_dist", "folder", "layout", "source"):
                assert (list(resolved) if field == "ood" else resolved) == given


def test_every_detector_reads_a_network_that_gives_what_it_needs_or_is_a_gap_with_a_reason(
    benchmark: Environment,
) -> None:
    for _, spec in benchmark.settings.values():
        assert spec.methods
        for method in spec.methods.values():
            if method.gap:
                assert method.gap.startswith("not applicable: ")
                continue
            network = spec.used_networks[method.network]
            assert not why_unfit(method.build(), method.network, network.gives, spec.dense)
            assert not network.untrainable
            assert method.needs <= spec.needs_of(method.network)


def test_a_detector_is_a_gap_only_where_no_network_serves(benchmark: Environment) -> None:
    for _, spec in benchmark.settings.values():
        for name, method in spec.methods.items():
            wanted = spec.detectors[name].network
            networks = {wanted: spec.networks[wanted]} if wanted else spec.networks
            if spec.networks[spec.shared].source.start == "outputs" and any(
                isinstance(need, Need) for need in method.needs
            ):
                assert "which only a pass over images gives" in method.gap
                continue
            fits = [
                each
                for each, network in networks.items()
                if not network.untrainable and not why_unfit(method.build(), each, network.gives, spec.dense)
            ]
            assert (method.gap == "") == bool(fits), name


def why_unfit(*given: Any) -> str:
    try:
        refuse_network(*given)
    except NotApplicableError as reason:
        return str(reason)
    return ""


def test_a_network_that_no_detector_reads_is_not_made(benchmark: Environment) -> None:
    for name, (_, spec) in benchmark.settings.items():
        read = {method.network for method in spec.methods.values()} | {spec.shared}
        assert spec.used_networks.keys() == read
        made = {product.split(".")[1] for product in benchmark.products if product.startswith(f"{name}.")}
        assert not made & (spec.networks.keys() - read - spec.methods.keys())


def test_every_product_is_stored_in_a_place_of_its_own_under_the_benchmarks_name(benchmark: Environment) -> None:
    places = {name: place(benchmark, name) for name in benchmark.products}
    assert len(set(places.values())) == len(places)
    for name in benchmark.products:
        assert benchmark.entry(name), name
        assert type(benchmark.catalog[name]).__name__ not in {"MemoryDataset", "CachedDataset"}
        if not name.endswith(PROVIDED):
            assert f"/{benchmark.name}/{name.split('.')[0]}" in places[name], name


def test_every_product_shows_its_layer(benchmark: Environment) -> None:
    for name in benchmark.products:
        assert benchmark.entries[benchmark.entry(name)]["metadata"]["kedro-viz"]["layer"] in LAYERS


def test_a_run_needs_nothing_but_parameters_and_what_a_person_provides(benchmark: Environment) -> None:
    needed = [name for name in benchmark.graph.inputs() if not name.startswith("params:")]
    assert all(name.endswith(PROVIDED) for name in needed)


def test_every_detector_reaches_the_results(benchmark: Environment) -> None:
    for name, (_, spec) in benchmark.settings.items():
        (collected,) = [node for node in benchmark.graph.nodes if node.name == f"{name}.collect_results"]
        # Marks of pixels come from what was measured in each scene, those of images from their scores.
        for kind in ("measured",) if spec.dense else ("scores", "measured"):
            found = {given for given in collected.inputs if given.endswith(f".{kind}")}
            assert found == {f"{name}.{detector}.{kind}" for detector in spec.methods}


def test_published_numbers_are_float32_unless_asked_otherwise(benchmark: Environment) -> None:
    assert {setting.spec.extraction.precision for setting in benchmark.settings.values()} == {"float32"}


def test_the_command_line_reaches_image_root_weights_device_and_precision() -> None:
    given = {"data_root": "elsewhere", "checkpoint": "x.pth", "device": "cuda:1", "precision": "bf16"}
    told = Environment(BENCHMARKS[0], **given)
    assert told.entries["data_root"]["filepath"] == "elsewhere"
    assert told.entries["{setting}.checkpoint"]["filepath"] == "x.pth"
    assert told.entries["{setting}.manifest"]["roots"]["photographs"] == "elsewhere"
    assert told.parameters["runtime"]["device"] == "cuda:1"
    assert {setting.spec.extraction.precision for setting in told.settings.values()} == {"bf16"}


def test_no_catalog_entry_is_unused_in_every_environment() -> None:
    there = set(environment(BENCHMARKS[0]).entries)
    used = {environment(name).entry(product) for name in BENCHMARKS for product in environment(name).products}
    # No benchmark curates: the published Species is clean. None keeps scores alone. No run packages.
    alone = comparison.create_pipeline() + upload.create_pipeline()
    chosen = {"{setting}.curation", "{setting}.{network}.scored", "{setting}.package"}
    assert there - used == alone.datasets() | chosen


def test_texts_are_written_as_utf_8_whatever_the_locale_is() -> None:
    entries = [entry.get("dataset", entry) for entry in environment(BENCHMARKS[0]).entries.values()]
    texts = [entry for entry in entries if isinstance(entry, dict) and entry["type"] == "text.TextDataset"]
    assert texts
    for entry in texts:
        assert entry["fs_args"] == {f"open_args_{way}": {"encoding": "utf-8"} for way in ("load", "save")}
    tables = [entry for entry in entries if isinstance(entry, dict) and entry["type"] == "pandas.CSVDataset"]
    written = [entry for entry in tables if "save_args" in entry]
    assert all(entry["fs_args"]["open_args_save"] == {"encoding": "utf-8"} for entry in written)


def test_all_that_is_stored_lies_below_the_store_and_is_opened_by_its_credentials(tmp_path: Path) -> None:
    shutil.copytree(CONF / "base", tmp_path / "base")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "globals.yml").write_text("store: s3://bucket/products\ncredentials: opens\n")
    entries = ConfigLoader(str(tmp_path), "mine", **CONFIG_LOADER_ARGS)["catalog"]
    given = {"data_root", "{setting}.checkpoint"}  # A person provides these.
    assert given < set(entries)
    for name in set(entries) - given:
        place = entries[name].get("filepath") or entries[name]["path"]
        assert (name, place.startswith("s3://bucket/products"), entries[name]["credentials"]) == (name, True, "opens")


def test_no_environment_has_a_catalog_of_its_own() -> None:
    assert [path for name in BENCHMARKS for path in (CONF / name).rglob("catalog*.yml")] == []
    assert [path.name for path in (CONF / "base").rglob("catalog*.yml")] == ["catalog.yml"]


def test_what_two_environments_say_does_not_mix() -> None:
    one, other = (Environment(name) for name in BENCHMARKS[:2])
    for each in (one, other, one):
        assert f"/{each.name}/" in each.loader["catalog"]["{setting}.results"]["filepath"]
        assert each.loader["parameters"]["benchmark"] == each.name


def test_a_benchmark_of_ones_own_is_one_folder(tmp_path: Path) -> None:
    for name, folder in (("base", "base"), ("test", "mine")):
        shutil.copytree(CONF / name, tmp_path / folder)
    (tmp_path / "mine" / "globals.yml").write_text("benchmark: anothers\n")
    mine = ConfigLoader(str(tmp_path), "mine", **CONFIG_LOADER_ARGS)
    assert mine["parameters"]["benchmark"] == "mine"
    assert "/mine/" in mine["catalog"]["{setting}.results"]["filepath"]
    assert structure.checked(mine["parameters"]).keys() == environment("test").settings.keys()


def test_multi_label_dropout_is_a_networks_of_its_own_where_the_paper_has_none() -> None:
    for each in PAPERS_MULTI_LABEL:
        spec = environment(each).settings["multi_label"].spec
        assert spec.methods["mc_dropout"].network == "dropout"
        assert {method.network for name, method in spec.methods.items() if name != "mc_dropout"} == {spec.shared}
        assert "dropout" not in spec.networks[spec.shared].gives
        assert not any(method.gap for method in spec.methods.values())


def test_where_nothing_is_trained_what_learned_something_else_is_a_gap_that_says_so() -> None:
    spec = environment("imagenet_1k").settings["multi_class"].spec
    gaps = {name: method.gap for name, method in spec.methods.items() if method.gap}
    assert gaps.keys() == {"rotation_msp", "rotation_max_logit", "confidence_branch"}
    assert all("this benchmark trains none" in gap for gap in gaps.values())
    assert list(spec.used_networks) == [spec.shared]
