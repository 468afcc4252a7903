"""Every published number has its place here, by names that exist."""

from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader

from scaling_ood.products.records import METRICS
from scaling_ood.report.paper import QUANTITIES, counterpart_of, published_numbers
from scaling_ood.report.paper.published import counterparts
from scaling_ood.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[3] / "conf"
BENCHMARKS = sorted({place.benchmark for place in counterparts().values()})
NAMED_HERE = [name for name in BENCHMARKS if (CONF / name / "globals.yml").is_file()]


def wanted(benchmark, kind):
    """Detectors or sets that published numbers ask of a benchmark."""
    numbers = [n for n in published_numbers() if counterpart_of(n).benchmark == benchmark and n.metric in METRICS]
    return {n.detector for n in numbers} if kind == "detectors" else {name for n in numbers for name in n.sets}


def test_every_number_has_a_counterpart_and_every_counterpart_a_number():
    used = {id(counterpart_of(number)) for number in published_numbers()}
    assert used == {id(place) for place in counterparts().values()}


def test_settings_and_aggregations_are_those_of_the_results():
    for place in counterparts().values():
        assert place.setting in ("multi_class", "multi_label", "segmentation")
        assert set(place.aggregations) <= {"pooled", "per_image"}
        assert place.setting == "segmentation" or "per_image" not in place.aggregations


def test_every_metric_of_the_results_can_be_compared():
    assert set(METRICS) <= set(QUANTITIES)


@pytest.mark.parametrize("benchmark", NAMED_HERE)
def test_a_benchmark_that_exists_has_the_setting_sets_and_detectors_of_the_paper(benchmark):
    (setting,) = {place.setting for place in counterparts().values() if place.benchmark == benchmark}
    parameters = OmegaConfigLoader(str(CONF), env=benchmark, **CONFIG_LOADER_ARGS)["parameters"][setting]
    sets = {*parameters["data"].get("ood", {"test": None}), "mean"}
    assert wanted(benchmark, "sets") <= sets
    assert wanted(benchmark, "detectors") <= {
        name for name, options in parameters["detectors"].items() if options is not False
    }
    numbers = [n for n in published_numbers() if counterpart_of(n).benchmark == benchmark]
    positive = parameters["reporting"].get("positive_class", "ood")
    counted = {"ood", "in_dist"} if positive == "both" else {positive}
    assert {n.positive_class for n in numbers if n.metric in METRICS} <= counted
    assert parameters["reporting"].get("fpr_rule", "nearest") == "nearest"
