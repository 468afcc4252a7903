"""Saved views of MLflow's page: written once, left as people left them, and shown by the page as they are meant."""

import base64
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import zlib
from urllib.request import urlopen

import pytest
from mlflow.tracking import MlflowClient
from mlflow_store import empty_store

from scaling_ood.tracking.ui import pages
from scaling_ood.tracking.views import ABOUT, DETECTORS, METRICS, VIEW, address, save_views, saved_views

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
DETECTOR_RUNS = {"msp": 0.71, "max_logit": 0.83, "energy": 0.82}


@pytest.fixture
def client(tmp_path):
    return MlflowClient(empty_store(tmp_path))


@pytest.fixture
def experiment(client, tmp_path):
    """Runs of three detectors, older ones of two, and their parent."""
    made = client.create_experiment("scaling_ood", artifact_location=(tmp_path / "mlartifacts").as_uri())
    tags = {"kind": "detector", "setting": "multi_class", "benchmark": "miniature"}
    for latest in ("false", "true"):
        for name, auroc in DETECTOR_RUNS.items():
            own = {**tags, "detector": name, "latest": latest, "mlflow.runName": f"multi_class.{name}"}
            run = client.create_run(made, tags=own)
            for metric, value in zip(METRICS, (auroc, 1 - auroc, auroc / 2), strict=True):
                client.log_metric(run.info.run_id, metric, value if latest == "true" else 0.123)
            client.log_metric(run.info.run_id, "accuracy_of_the_network", 0.9)
            client.set_terminated(run.info.run_id)
    client.create_run(made, tags={"kind": "kedro_run", "mlflow.runName": "miniature: all stages"})
    return client.get_experiment(made)


def state_of(client, experiment, key):
    saved = json.loads(client.get_experiment(experiment.experiment_id).tags[f"{VIEW}{key}"])
    kind, _, packed = saved["state"].partition(";")
    assert kind == "deflate"
    return saved["name"], json.loads(zlib.decompress(base64.b64decode(packed)))


def test_the_view_of_all_detectors_has_their_columns_charts_and_order(client, experiment):
    save_views(client, experiment)
    name, state = state_of(client, experiment, DETECTORS)
    assert name == "Detectors"
    columns = [re.fullmatch(r"\w+\.`(.+)`", column)[1] for column in state["selectedColumns"]]
    assert columns == ["detector", "setting", "benchmark", *METRICS]
    assert [chart["metricKey"] for chart in state["compareRunCharts"]] == list(METRICS)
    assert {chart["type"] for chart in state["compareRunCharts"]} == {"BAR"}
    assert state["orderByKey"] == "metrics.`auroc.mean`"
    found = client.search_runs([experiment.experiment_id], state["searchFilter"])
    assert sorted(run.data.tags["detector"] for run in found) == sorted(DETECTOR_RUNS)
    assert {run.data.tags["latest"] for run in found} == {"true"}


def test_a_benchmarks_setting_has_a_view_of_its_own(client, experiment):
    save_views(client, experiment, "miniature", "multi_class")
    name, state = state_of(client, experiment, "miniature.multi_class")
    assert name == "miniature, multi_class"
    assert len(client.search_runs([experiment.experiment_id], state["searchFilter"])) == len(DETECTOR_RUNS)
    save_views(client, experiment, "samples", "multi_class")
    _, other = state_of(client, experiment, "samples.multi_class")
    assert not client.search_runs([experiment.experiment_id], other["searchFilter"])


def test_what_a_comparison_opens_on_is_no_metric_of_quality(client, experiment):
    save_views(client, experiment)
    tags = client.get_experiment(experiment.experiment_id).tags
    assert tags["mlflow.experiment.primaryMetric.name"] == "auroc.mean"
    assert ABOUT.items() <= tags.items()


def test_a_view_that_a_person_changed_stays(client, experiment):
    own = {f"{VIEW}{DETECTORS}": '{"name": "mine", "state": "{}"}', "mlflow.experiment.primaryMetric.name": "top1"}
    for tag, value in own.items():
        client.set_experiment_tag(experiment.experiment_id, tag, value)
    save_views(client, client.get_experiment(experiment.experiment_id))
    assert own.items() <= client.get_experiment(experiment.experiment_id).tags.items()


def test_the_page_of_all_detectors_comes_first_and_views_of_people_are_told_too(client, experiment):
    save_views(client, experiment, "miniature", "multi_class")
    for key, value in {"a1b2": '{"name": "My own"}', "abcd": "deflate;eJw", "ffff": '["x"]'}.items():
        client.set_experiment_tag(experiment.experiment_id, f"{VIEW}{key}", value)
    found = pages(client, "scaling_ood", "http://127.0.0.1:5000")
    assert list(found) == ["Detectors", "My own", "miniature, multi_class"]
    assert found["Detectors"] == address("http://127.0.0.1:5000", experiment.experiment_id)


def test_before_the_first_run_the_server_alone_is_named(client):
    assert pages(client, "scaling_ood", "http://127.0.0.1:5000") == {"MLflow": "http://127.0.0.1:5000"}
    assert saved_views(client.get_experiment("0")) == {}


@pytest.fixture
def server(tmp_path, experiment):
    """MLflow's page of that store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{tmp_path}/mlflow.db"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port)]
    process = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            break
        except OSError:
            time.sleep(0.5)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def seen(place, folder):
    """What a browser shows at an address, when it has come to rest."""
    profile = [f"--user-data-dir={folder}", "--window-size=1600,1400", "--virtual-time-budget=60000"]
    command = [CHROMIUM, *QUIET, *profile, "--dump-dom", place]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_the_views_as_the_guide_says(client, experiment, server, tmp_path):
    save_views(client, experiment, "miniature", "multi_class")
    table = seen(address(server, experiment.experiment_id).replace("CHART", "TABLE"), tmp_path / "table")
    columns = [f"tags.`{name}`" for name in ("detector", "setting", "benchmark")] + [f"metrics.`{m}`" for m in METRICS]
    assert all(f'col-id="{column}"' in table for column in columns)
    told = text_of(table)
    assert "Error loading shared view state" not in told
    assert "3 matching runs" in told
    assert "miniature: all stages" not in told
    for text in (*DETECTOR_RUNS, *METRICS, "0.83"):
        assert text in told, text
    charts = text_of(seen(address(server, experiment.experiment_id, "miniature.multi_class"), tmp_path / "charts"))
    begin = charts.index("Detectors (3)")
    # What is further down than the window is not drawn yet.
    places = [charts.index(each, begin) for each in (*METRICS[:2], "Model metrics (1)")]
    assert places == sorted(places)


def text_of(page):
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", page))
