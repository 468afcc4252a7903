"""Results of the paper's benchmarks as if they had been run: every printed value and 0.3 points on top."""

from functools import cache

import pandas as pd

from scaling_ood.products.records import METRICS, RESULT_COLUMNS
from scaling_ood.report.paper import compare, counterpart_of, published_numbers

ON_TOP = 0.3
WITHOUT_VALUE = 60.0
"""In per cent, where the paper's value is missing."""

ALL = tuple(dict.fromkeys(counterpart_of(number).benchmark for number in published_numbers()))


def results(benchmarks=ALL):
    """One row per detector, OOD set and aggregation; sets that only means are over have the mean's value."""
    rows = {}
    # Single sets last, so that a value of their own replaces that of a mean.
    for number in sorted(published_numbers(), key=lambda one: -len(one.sets)):
        place = counterpart_of(number)
        if number.metric not in METRICS or place.benchmark not in benchmarks:
            continue
        for aggregation in place.aggregations:
            for ood_set in number.sets:
                key = (place.benchmark, place.setting, number.detector, ood_set, number.positive_class, aggregation)
                row = rows.setdefault(key, {})
                row[number.metric] = (float(number.value or WITHOUT_VALUE) + ON_TOP) / 100
    names = ["benchmark", "setting", "detector", "ood_set", "positive_class", "aggregation"]
    frame = pd.DataFrame(
        [dict(zip(names, key, strict=True)) | values for key, values in rows.items()], columns=[*names, *METRICS]
    )
    fixed = {"n_in": 4000, "n_out": 1000, "base_rate": 0.2, "model": "a_network", "fpr_rule": "nearest"}
    return frame.assign(**fixed).reindex(columns=list(RESULT_COLUMNS))


def records():
    """What benchmarks record beside their results: sizes of data sets, exactly as printed, and mAP."""
    preparations = {}
    for number in published_numbers():
        if number.metric == "images" and len(number.sets) == 1:
            record = preparations.setdefault(counterpart_of(number).place, {"images": {}})
            record["images"][number.ood_set] = int(number.value)
    preparations["bdd_anomaly", "segmentation"]["anomalous_share"] = 0.00834
    qualities = {("voc", "multi_label"): {"map": {"seed0": 0.884, "seed1": 0.888}}}
    return {"qualities": qualities, "preparations": preparations}


@cache
def _comparison(benchmarks):
    return compare(results(benchmarks), **(records() if benchmarks else {}))


def comparison(benchmarks=ALL):
    """Everything compared."""
    return _comparison(benchmarks).copy()
