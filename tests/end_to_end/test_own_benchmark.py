"""A benchmark of one's own: what `make benchmark` writes runs as it stands, breaks no test and needs no page."""

import os
import shutil
import subprocess
import sys

import own_photographs as own
import pytest
from kedro_project import ROOT, Project

pytestmark = pytest.mark.slow


def test_what_make_benchmark_writes_runs_as_it_stands(tmp_path):
    own.split_folders(tmp_path / "photos/birds")
    own.flat(tmp_path / "photos/insects", suffix="webp")
    project = Project.copy(tmp_path / "project")
    project.bring_code()
    written = project.python("-m", "scaling_ood.new_benchmark", "mine", "multi_class", str(tmp_path / "photos"))
    assert written.code == 0, written.output
    # As it stands, but for what takes time alone.
    outcome = project.run("--params", "runtime.workers=0,multi_class.networks.classifier.input_px=64", env="mine")
    assert "image set" in outcome.output
    results = project.results("multi_class", "mine")
    assert set(results["ood_set"]) == {"own_insects", "mean"}
    assert results.query("detector == 'max_logit'")["auroc"].notna().all()


def test_a_folder_of_ones_own_breaks_no_test_and_needs_no_page(tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("conf", "docs", "src", "tests", "notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, copy)
    (copy / "data").mkdir()
    shutil.copy(ROOT / "data/README.md", copy / "data")
    mine = copy / "conf/mine"
    mine.mkdir()
    own_parameters = (ROOT / "conf/imagenet_sample/parameters.yml").read_text(encoding="utf-8")
    (mine / "parameters.yml").write_text(f"runtime: {{device: cpu}}\n{own_parameters}")
    (mine / "catalog.yml").write_text("mine:\n  type: MemoryDataset\n")
    (copy / "conf/unfinished").mkdir()
    (copy / "conf/unfinished/parameters.yml").write_text("multi_class: {data: {in_dist: nothing")
    tests = [
        "tests/conf",
        "tests/docs/test_pages.py",
        "tests/test_configuration.py",
        "tests/pipelines/test_comparison.py",
    ]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
