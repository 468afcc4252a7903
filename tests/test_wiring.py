"""The real configuration of every benchmark: it resolves, everything has its place, and nothing is left over."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from scaling_ood import structure
from scaling_ood.detectors import detector_names
from scaling_ood.pipeline_registry import STAGES
from scaling_ood.pipelines import comparison, data_preparation, metric_reporting, model_training, score_extraction
from scaling_ood.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
PROVIDED = {"data_root", "multi_class.checkpoint", "segmentation.checkpoint"}
LAYERS = {"raw", "manifests", "models", "outputs", "networks", "scores", "reporting"}
ENVIRONMENTS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "local")
BENCHMARKS = [name for name in ENVIRONMENTS if name != "base"]
PACKAGES = {
    "data_preparation": data_preparation,
    "model_training": model_training,
    "score_extraction": score_extraction,
    "metric_reporting": metric_reporting,
}


class Wired:
    """Everything that Kedro would put together for one environment."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.loader = OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)
        self.parameters: dict[str, Any] = self.loader["parameters"]
        structure.bind(self.parameters)
        self.specs = structure.setting_specs()
        self.pipelines = {stage: PACKAGES[stage].create_pipeline() for stage in STAGES}
        self.whole = sum(self.pipelines.values(), Pipeline([]))
        self.entries: dict[str, dict[str, Any]] = {
            name: entry for name, entry in self.loader["catalog"].items() if not name.startswith("_")
        }
        self.catalog = DataCatalog.from_config(self.loader["catalog"])
        self.products = {name for name in self.whole.datasets() if not name.startswith("params:")}

    def entry(self, name: str) -> str:
        """The catalog entry that a product resolves to; empty where it would fall back to memory."""
        if name in self.entries:
            return name
        return self.catalog.config_resolver.match_dataset_pattern(name) or ""


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def wired(request: pytest.FixtureRequest) -> Any:
    bound = dict(structure._bound)
    yield Wired(request.param)
    structure._bound.clear()
    structure._bound.update(bound)


def test_every_stage_is_wired_here() -> None:
    assert tuple(PACKAGES) == STAGES


def test_every_benchmark_has_at_least_one_setting_and_one_detector(wired: Wired) -> None:
    assert wired.specs
    assert all(structure.detectors_of(spec) for spec in wired.specs.values())


def test_every_product_of_every_stage_has_a_catalog_entry(wired: Wired) -> None:
    assert [name for name in sorted(wired.products) if not wired.entry(name)] == []


def test_every_product_can_be_built_and_is_stored(wired: Wired) -> None:
    for name in wired.products:
        assert type(wired.catalog[name]).__name__ not in {"MemoryDataset", "CachedDataset"}
        assert wired.catalog[name]._describe()["filepath"]


def test_no_two_products_share_a_place(wired: Wired) -> None:
    places = [str(wired.catalog[name]._describe()["filepath"]) for name in wired.products]
    assert len(set(places)) == len(places)


def test_every_parameter_that_a_node_takes_exists(wired: Wired) -> None:
    for name in wired.whole.inputs():
        if name.startswith("params:"):
            value: Any = wired.parameters
            for step in name.removeprefix("params:").split("."):
                assert step in value, name
                value = value[step]


def test_every_product_shows_its_layer(wired: Wired) -> None:
    for name in wired.products:
        assert wired.entries[wired.entry(name)]["metadata"]["kedro-viz"]["layer"] in LAYERS


def test_results_are_filed_under_the_name_of_their_benchmark(wired: Wired) -> None:
    for name in wired.products - PROVIDED:
        setting = name.split(".")[0]
        benchmark = wired.specs[setting].identity.benchmark
        parts = Path(str(wired.catalog[name]._describe()["filepath"])).parts
        assert benchmark in parts, name
        assert benchmark == wired.loader["globals"]["benchmark"][setting]


def test_every_detector_of_the_configuration_is_registered(wired: Wired) -> None:
    for setting in wired.specs:
        assert set(wired.parameters[setting]["detectors"]) <= set(detector_names())


def test_every_scored_detector_reaches_the_results(wired: Wired) -> None:
    for setting, spec in wired.specs.items():
        collected = next(
            node for node in wired.whole.nodes if node.namespace == setting and node.short_name == "collect_results"
        )
        # Images are compared by their scores, scenes by their metrics: no pixel score is stored.
        kind = "metrics" if setting == "segmentation" else "scores"
        expected = {f"{setting}.{name}.{kind}" for name in structure.detectors_of(spec)}
        assert {name for name in collected.inputs if name.endswith(f".{kind}")} == expected


@pytest.mark.parametrize("environment", BENCHMARKS)
def test_the_ood_sets_and_the_in_distribution_of_a_benchmark_are_those_of_its_own_file(environment: str) -> None:
    own: dict[str, Any] = {}
    for path in (CONF / environment).rglob("parameters*.yml"):
        for setting, content in (yaml.safe_load(path.read_text()) or {}).items():
            if setting in structure.SETTINGS and content:
                own.setdefault(setting, {}).update(content.get("data", {}))
    specs = structure.checked(OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)["parameters"])
    assert own
    for setting, data in own.items():
        for name in ("ood", "in_dist", "data_set", "folder", "layout"):
            if name in data:
                resolved = getattr(specs[setting].data, name)
                assert (list(resolved) if name == "ood" else resolved) == data[name]


@pytest.mark.parametrize("environment", BENCHMARKS)
def test_a_benchmark_runs_exactly_the_settings_that_it_names(environment: str) -> None:
    named = yaml.safe_load((CONF / environment / "globals.yml").read_text())["benchmark"]
    specs = structure.checked(OmegaConfigLoader(str(CONF), env=environment, **CONFIG_LOADER_ARGS)["parameters"])
    assert specs.keys() == named.keys()
    assert {setting: spec.identity.benchmark for setting, spec in specs.items()} == named


def test_no_two_environments_give_a_setting_the_same_benchmark() -> None:
    ids = [
        (setting, benchmark)
        for environment in ENVIRONMENTS
        for setting, benchmark in yaml.safe_load((CONF / environment / "globals.yml").read_text())["benchmark"].items()
    ]
    assert len(set(ids)) == len(ids)


def test_no_catalog_entry_is_unused_in_every_environment() -> None:
    bound = dict(structure._bound)
    used: set[str] = set()
    there: set[str] = set()
    for environment in ENVIRONMENTS:
        wired = Wired(environment)
        there |= wired.entries.keys()
        used |= {wired.entry(name) for name in wired.products}
    structure._bound.clear()
    structure._bound.update(bound)
    # No benchmark curates: the published Species is clean.
    assert there - used == comparison.create_pipeline().datasets() | {"multi_class.curation"}


def test_a_curated_data_set_leaves_a_report() -> None:
    bound = dict(structure._bound)
    wired = Wired("species_ecology")
    library = wired.parameters["multi_class"]["data_sets"]
    library["species_known"]["curation"] = {"flags": "species/flags.csv"}
    structure.bind(wired.parameters)
    preparation = data_preparation.create_pipeline()
    structure._bound.clear()
    structure._bound.update(bound)
    assert "multi_class.curation" in preparation.outputs() | preparation.datasets()
    assert wired.entry("multi_class.curation") == "multi_class.curation"
    assert {node.short_name for node in preparation.nodes} == {"curate_images", "prepare_manifest"}


def test_the_command_line_reaches_image_root_device_and_precision() -> None:
    given = {"data_root": "elsewhere", "device": "cuda:1", "precision": "bf16"}
    loader = OmegaConfigLoader(str(CONF), env="base", runtime_params=given, **CONFIG_LOADER_ARGS)
    specs = structure.checked(loader["parameters"])
    assert loader["catalog"]["data_root"]["filepath"] == "elsewhere"
    assert loader["parameters"]["runtime"]["device"] == "cuda:1"
    assert {spec.extraction.precision for spec in specs.values()} == {"bf16"}


def test_published_numbers_are_float32_unless_asked_otherwise(wired: Wired) -> None:
    assert {spec.extraction.precision for spec in wired.specs.values()} == {"float32"}


def test_texts_are_written_as_utf_8_whatever_the_locale_is() -> None:
    catalog = OmegaConfigLoader(str(CONF), env="base", **CONFIG_LOADER_ARGS)["catalog"]
    datasets = [entry.get("dataset", entry) for entry in catalog.values()]
    texts = [entry for entry in datasets if isinstance(entry, dict) and entry["type"] == "text.TextDataset"]
    assert len(texts) > 6
    for entry in texts:
        assert entry["fs_args"] == {f"open_args_{way}": {"encoding": "utf-8"} for way in ("load", "save")}
    assert not [entry for entry in datasets if entry == "text.TextDataset"]
