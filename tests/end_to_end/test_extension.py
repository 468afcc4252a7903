"""A new detector is one file and one line of YAML for each setting."""

import json
import subprocess
import sys

import mlflow
import pandas as pd
import pytest
from kedro_project import ROOT
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

LINE = "    msp: {}\n"
# Setting to the folder of its products, and to the rows that a detector has in its table.
SETTINGS = {"multi_class": ("test/multi_class", 8), "multi_label": ("test_composite/multi_label", 4)}

TOY = '''
"""Toy detector: the negative spread of the logits."""

import torch

from scaling_ood.detectors.base import Detector, Outputs, detector


@detector
class LogitSpread(Detector):
    """max - min of the logits, negated: confident images have a large one."""

    def score(self, chunk: Outputs) -> torch.Tensor:
        logits = self.read(chunk, "logits")
        return logits.amin(dim=1) - logits.amax(dim=1)
'''


@pytest.fixture(scope="module")
def extended(finished_run, tmp_path_factory):
    project = finished_run[0].twin(tmp_path_factory.mktemp("extended") / "project")
    (project.path / "src/scaling_ood/detectors/logit_spread.py").write_text(TOY)
    for setting in SETTINGS:
        parameters = project.path / f"conf/base/settings/{setting}/parameters.yml"
        parameters.write_text(parameters.read_text().replace(LINE, f"{LINE}    logit_spread: {{}}\n"))
    project.run("--namespaces", ",".join(SETTINGS))
    return project


@pytest.mark.parametrize(("folder", "count"), SETTINGS.values())
def test_it_is_in_the_table(extended, folder, count):
    rows = pd.read_csv(extended.path / f"data/08_reporting/{folder}/results.csv").query("detector == 'logit_spread'")
    assert rows["auroc"].notna().all()
    assert len(rows) == count


def test_it_is_in_mlflow(extended):
    mlflow.set_tracking_uri(f"sqlite:///{extended.path}/mlflow.db")
    experiment = mlflow.get_experiment_by_name("scaling_ood")
    runs = MlflowClient().search_runs([experiment.experiment_id], "tags.detector = 'logit_spread'")
    assert sorted(run.data.tags["setting"] for run in runs) == sorted(SETTINGS)


def test_it_is_in_kedro_viz(extended):
    outcome = extended.kedro("viz", "build", "--include-hooks", env=None)
    assert outcome.code == 0, outcome.output
    graph = (extended.path / "build/api/main").read_text()
    # Kedro-Viz leaves the layers out, with a warning, where they are in a circle.
    layers = json.loads(graph)["layers"]
    assert layers == ["raw", "manifests", "models", "outputs", "networks", "scores", "reporting"]
    for setting in SETTINGS:
        assert f"{setting}.logit_spread" in graph
        assert f"{setting}.max_logit" in graph


def test_the_contract_tests_pick_it_up(extended):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "logit_spread"]
    contract = str(ROOT / "tests/detectors/test_contract.py")
    code = {"PYTHONPATH": str(extended.path / "src"), "PATH": ""}
    done = subprocess.run([*command, contract], capture_output=True, text=True, check=False, cwd=ROOT, env=code)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
