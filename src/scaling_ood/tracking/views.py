"""Saved views of MLflow's page: the runs of detectors, with the columns and charts that a comparison is about.

MLflow (3.16 and later) keeps a saved view as a tag of the experiment, `mlflow.sharedViewState.<key>`: a name, and the
state of the page as JSON, deflated and in base64. `viewStateShareKey=<key>` in the page's address opens it.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

VIEW = "mlflow.sharedViewState."
"""Beginning of the names of the tags that are saved views."""

METRICS = ("auroc.mean", "fpr95.mean", "aupr.mean")
"""Columns, and a chart each, in their order; means over the OOD sets."""

ABOUT = {
    # What a comparison shows first where no view says otherwise.
    "mlflow.experiment.primaryMetric.name": METRICS[0],
    # Else the page asks whether the runs are of language models.
    "mlflow.experimentKind": "custom_model_development",
}
"""Further tags of the experiment that the page reads."""

DETECTORS = "detectors"
"""Key of the view of the newest runs of all detectors."""

TAGS = ("detector", "setting", "benchmark")
"""Columns before those of the metrics."""

_MOST_BARS = 100
_SECTION = "detectors"


def save_views(client: MlflowClient, experiment: Experiment, benchmark: str = "", setting: str = "") -> None:
    """Write the views that the experiment lacks; one that is there stays as a person left it.

    Args:
        client: Of the store.
        experiment: As the store has it now.
        benchmark: Whose detectors get a view of their own beside that of all; empty for none.
        setting: Whose.
    """
    wanted = {DETECTORS: ("Detectors", {"kind": "detector", "latest": "true"})}
    if benchmark and setting:
        tags = {"kind": "detector", "latest": "true", "benchmark": benchmark, "setting": setting}
        wanted[f"{benchmark}.{setting}"] = (f"{benchmark}, {setting}", tags)
    missing = {f"{VIEW}{key}": _saved(*view) for key, view in wanted.items() if f"{VIEW}{key}" not in experiment.tags}
    missing |= {tag: value for tag, value in ABOUT.items() if tag not in experiment.tags}
    for tag, value in missing.items():
        client.set_experiment_tag(experiment.experiment_id, tag, value)


def saved_views(experiment: Experiment) -> dict[str, str]:
    """Keys of all views that an experiment has to their names, that of all detectors first; also those of people."""
    found: dict[str, str] = {}
    for tag in sorted(experiment.tags, key=lambda tag: (tag != f"{VIEW}{DETECTORS}", tag)):
        with suppress(ValueError, KeyError, TypeError):  # what the page keeps there for another purpose
            found |= {tag.removeprefix(VIEW): json.loads(experiment.tags[tag])["name"]} if tag.startswith(VIEW) else {}
    return found


def address(server: str, experiment_id: str, key: str = DETECTORS) -> str:
    """Where a saved view is, with its charts.

    >>> address("http://127.0.0.1:5000", "1")
    'http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=detectors&compareRunsMode=CHART'
    """
    return f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={key}&compareRunsMode=CHART"


def experiment_of(client: MlflowClient, name: str) -> Experiment | None:
    """The experiment of that name; None where there is none, or none yet."""
    try:
        return client.get_experiment_by_name(name)
    except MlflowException:
        return None


def _saved(name: str, tags: Mapping[str, str]) -> str:
    """The value of the tag of a view."""
    now = int(time.time() * 1000)
    state = json.dumps(page_state(tags), separators=(",", ":")).encode()
    packed = "deflate;" + base64.b64encode(zlib.compress(state, 9)).decode()
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": packed})


def page_state(tags: Mapping[str, str]) -> dict[str, Any]:
    """The page of the runs that have these tags: MLflow's own names and values.

    >>> page_state({"kind": "detector"})["searchFilter"]
    "tags.`kind` = 'detector'"
    """
    columns = [*(f"tags.`{name}`" for name in TAGS), *(f"metrics.`{name}`" for name in METRICS)]
    charts = [
        {
            "uuid": f"{_SECTION}-{number}",
            "type": "BAR",
            "runsCountToCompare": _MOST_BARS,
            "metricSectionId": _SECTION,
            "deleted": False,
            "isGenerated": False,
            "displayName": metric,
            "metricKey": metric,
        }
        for number, metric in enumerate(METRICS)
    ]
    section = {"uuid": _SECTION, "name": "Detectors", "display": True, "columns": 1, "isReordered": True}
    return {
        "searchFilter": " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items()),
        "orderByKey": f"metrics.`{METRICS[0]}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {},
        "runsHiddenMode": "SHOW_ALL",
        "viewMaximized": False,
        "runListHidden": False,
        "compareRunCharts": charts,
        "compareRunSections": [{**section, "deleted": False, "isGenerated": False}],
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": False,
        "groupBy": None,
        "groupsExpanded": {},
    }
