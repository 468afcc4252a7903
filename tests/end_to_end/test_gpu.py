"""The built-in benchmark on a graphics processor, from rendering to report."""

import pytest
from kedro_project import SETTINGS, Project

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


def test_the_built_in_benchmark(tmp_path, gpu):
    project = Project.copy(tmp_path / "project")
    project.run("--params", f"device={gpu}", env=None)
    for setting in SETTINGS:
        results = project.results(setting)
        assert results["auroc"].notna().any()
    children = [run for run in project.tracked() if run.data.tags.get("kind") == "detector"]
    assert {run.info.status for run in children} == {"FINISHED"}
    assert {run.data.tags["device"] for run in children} != {"cpu"} or gpu.type == "cpu"
