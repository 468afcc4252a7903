"""`torchrun -m scaling_ood`: two processes train what one does, and the first of them runs everything else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro_project import ROOT, Outcome, Project

pytestmark = pytest.mark.slow


def torchrun(project: Project, *arguments: str) -> Outcome:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "KEDRO"))}
    given = {**kept, "PYTHONPATH": str(ROOT / "src"), "DO_NOT_TRACK": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, "-m", "scaling_ood", "--env", "test", *arguments]
    done = subprocess.run(command, cwd=project.path, env=given, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout + done.stderr)


def record(project: Project, network: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.path / f"data/06_models/test/{network}/model/record.json").read_text())
    return found


def test_two_processes_train_what_one_does_and_keep_it_under_the_same_key(finished: Project, tmp_path: Path) -> None:
    project = finished.twin(tmp_path / "project")
    networks = ["multi_class/classifier", "multi_class/rotation", "multi_label/classifier", "segmentation/segmenter"]
    for network in networks:
        shutil.rmtree(project.path / f"data/06_models/test/{network}/model")
    done = torchrun(project, "--pipelines", "model_training")
    assert done.code == 0, done.output
    assert done.output.count("Pipeline execution completed successfully") == 1
    for network in networks:
        assert record(project, network)["key"] == record(finished, network)["key"]
    # The others have dropout, whose masks differ.
    for mine, theirs in zip(*(record(each, networks[0])["history"] for each in (project, finished)), strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-5)


def test_what_is_wrong_ends_all_processes_with_the_first_ones_message(tmp_path: Path) -> None:
    done = torchrun(Project.copy(tmp_path / "project"), "--pipelines", "model_trainings")
    assert done.code != 0
    assert "--pipelines model_trainings: there is no such name; did you mean 'model_training'" in done.output
