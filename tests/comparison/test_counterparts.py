"""Every published number has its place here, by names that exist."""

from pathlib import Path

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from scaling_ood import structure
from scaling_ood.comparison import QUANTITIES, counterpart_of, counterparts, published_numbers
from scaling_ood.detectors import detector_names
from scaling_ood.records import METRICS
from scaling_ood.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[2] / "conf"
# Not written yet; take a name out of here as soon as it is registered.
DETECTORS_TO_COME = {"rotation_msp", "rotation_max_logit"}
BENCHMARKS = sorted({place.benchmark for place in counterparts().values()})
NAMED_HERE = [name for name in BENCHMARKS if (CONF / name / "globals.yml").is_file()]


def wanted(benchmark, kind):
    """Detectors or sets that published numbers ask of a benchmark."""
    numbers = [n for n in published_numbers() if counterpart_of(n).benchmark == benchmark and n.metric in METRICS]
    return {n.detector for n in numbers} if kind == "detectors" else {name for n in numbers for name in n.sets}


def test_every_detector_is_registered_or_announced():
    named = {number.detector for number in published_numbers() if number.detector}
    assert named - set(detector_names()) <= DETECTORS_TO_COME
    assert named >= DETECTORS_TO_COME


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
    assert yaml.safe_load((CONF / benchmark / "globals.yml").read_text())["benchmark"] == {setting: benchmark}
    spec = structure.checked(OmegaConfigLoader(str(CONF), env=benchmark, **CONFIG_LOADER_ARGS)["parameters"])[setting]
    sets = {"test", "mean"} if setting == "segmentation" else {*spec.data.ood, "mean"}
    assert wanted(benchmark, "sets") <= sets
    assert wanted(benchmark, "detectors") <= {*structure.detectors_of(spec), *DETECTORS_TO_COME}
    numbers = [n for n in published_numbers() if counterpart_of(n).benchmark == benchmark]
    assert {n.positive_class for n in numbers if n.metric in METRICS} <= set(spec.reporting.positive_classes)
    assert spec.reporting.fpr_rule == "nearest"
