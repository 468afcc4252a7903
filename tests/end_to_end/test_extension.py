"""A new detector is one file and one line of YAML for each setting, whatever it needs; so is a new setting one file."""

import json
import re

import numpy as np
import pytest
from kedro_project import DETECTORS, ROOT, SETTINGS, Project
from PIL import Image
from toy_extensions import PAIRS_PARAMETERS, PAIRS_TASK, TOYS

pytestmark = pytest.mark.slow

LINE = "    msp: {}\n"
KEPT = {"msp", "max_logit"}
GUIDE = (ROOT / "docs/add-detector.md").read_text(encoding="utf-8")
SHOWN = {
    re.search(r"class (\w+)\(Detector", block)[1].lower(): block
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    if "@detector" in block
}


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory) -> Project:
    """The finished project with a detector of each sort in all settings, after a run of these and two others."""
    project = finished.twin(tmp_path_factory.mktemp("extended") / "project")
    project.bring_code()
    for name, code in {**TOYS, **SHOWN}.items():
        (project.path / f"src/scaling_ood/detectors/{name}.py").write_text(code)
    parameters = project.path / "conf/base/parameters.yml"
    lines = "".join(f"    {name}: {{}}\n" for name in TOYS)
    text = parameters.read_text()
    assert text.count(LINE) == len(SETTINGS)
    parameters.write_text(text.replace(LINE, LINE + lines))
    off = [f"{setting}.detectors.{name}=false" for setting in SETTINGS for name in {*DETECTORS[setting]} - KEPT]
    off += [f"{setting}.packaging.detector=max_logit" for setting in SETTINGS]
    outcome = project.python("-m", "kedro", "run", "--env", "test", "--params", ",".join(off))
    assert outcome.code == 0, outcome.output
    return project


@pytest.mark.parametrize("setting", SETTINGS)
def test_they_are_in_the_table_of_every_setting_where_they_have_a_meaning(extended, setting):
    rows = extended.results(setting).query("ood_set == 'mean'").drop_duplicates("detector").set_index("detector")
    assert {*rows.index} == {*KEPT, *TOYS}
    gaps = {"feature_distance"} if setting == "segmentation" else set()
    assert set(rows.index[rows["auroc"].isna()]) == set(rows.index[rows["gap"].notna()]) == gaps
    assert all("whole images, not for pixels" in rows.loc[name, "gap"] for name in gaps)


def test_they_are_in_mlflow(extended):
    for name in TOYS:
        runs = extended.tracked(f"tags.detector = '{name}'")
        assert sorted(run.data.tags["setting"] for run in runs) == list(SETTINGS)
        assert all("auroc.mean" in run.data.metrics for run in runs if not run.data.tags["gap"])


def test_they_are_in_kedro_viz(extended):
    outcome = extended.python("-m", "kedro", "viz", "build", "--include-hooks")
    assert outcome.code == 0, outcome.output
    graph = (extended.path / "build/api/main").read_text()
    # Kedro-Viz leaves the layers out, with a warning, where they are in a circle.
    assert json.loads(graph)["layers"] == ["raw", "manifests", "networks", "scores", "reporting"]
    for setting in SETTINGS:
        for name in ("max_logit", *TOYS):
            assert f"{setting}.{name}" in graph


def test_the_contract_tests_pick_them_up_and_those_that_the_guide_shows(extended):
    contract = str(ROOT / "tests/detectors/test_contract.py")
    chosen = " or ".join([*TOYS, *SHOWN])
    done = extended.python("-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", chosen, contract, cwd=ROOT)
    assert done.code == 0, done.output
    for name in (*TOYS, *SHOWN):
        assert f"test_declaration[{name}] PASSED" in done.output


STAGE_BY_STAGE = """
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
for stage in ("data_preparation", "model_training", "score_extraction", "metric_reporting"):
    with KedroSession.create(env="pairs") as session:
        session.run(pipeline_names=[stage])
"""
PAIRS = {"train": 12, "fit": 8, "test": 8, "tinted": 6}


@pytest.fixture(scope="module")
def paired(tmp_path_factory) -> Project:
    """A project with a setting of pairs of pictures, whose four stages have run one by one."""
    project = Project.copy(tmp_path_factory.mktemp("pairs") / "project")
    project.bring_code()
    (project.path / "src/scaling_ood/tasks/pairs.py").write_text(PAIRS_TASK)
    (project.path / "conf/pairs").mkdir()
    (project.path / "conf/pairs/parameters.yml").write_text(PAIRS_PARAMETERS)
    random = np.random.default_rng(0)
    for image_set, count in PAIRS.items():
        for number in range(count):
            left = random.integers(0, 200, (8, 8, 3), dtype=np.uint8)
            right = left + np.uint8(20) if number % 2 else random.integers(0, 200, (8, 8, 3), dtype=np.uint8)
            right[..., 0] = 255 if image_set == "tinted" else right[..., 0]
            folder = project.path / f"data/01_raw/pairs/{image_set}/{'same' if number % 2 else 'other'}"
            folder.mkdir(parents=True, exist_ok=True)
            for side, pixels in (("left", left), ("right", right)):
                Image.fromarray(pixels).save(folder / f"{number:03d}_{side}.png")
    outcome = project.python("-c", STAGE_BY_STAGE)
    assert outcome.code == 0, outcome.output
    return project


def test_a_new_setting_is_one_file_and_one_folder_of_configuration(paired):
    results = paired.results("pairs", "pairs")
    assert list(results["detector"].unique()) == ["msp", "max_logit", "knn", "mc_dropout"]
    assert list(results["ood_set"].unique()) == ["tinted", "mean"]
    gaps = results[results["gap"].notna()]
    assert set(gaps["detector"]) == {"mc_dropout"}
    assert results.loc[results["gap"].isna(), "auroc"].notna().all()
    page = paired.product("08_reporting/*/report.html", "pairs", "pairs").read_text()
    assert "top-1 accuracy" in page
    runs = paired.tracked("tags.setting = 'pairs'")
    assert sorted(run.data.tags["kind"] for run in runs) == ["detector"] * 4 + ["training"]


def test_a_new_setting_knows_what_is_stale(paired):
    given = ("--params", "pairs.networks.classifier.epochs=2")
    refused = paired.python("-m", "kedro", "run", "--env", "pairs", "--pipelines", "score_extraction", *given)
    refused.refused("pairs.networks.classifier.epochs was 1, is 2", "kedro run --to-outputs pairs.classifier.model")
