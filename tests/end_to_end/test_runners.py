"""Whichever of Kedro's runners runs it, the numbers are the same."""

import pandas as pd
import pytest
from kedro_project import SETTINGS, Project

pytestmark = pytest.mark.slow


def test_threads_give_the_same_results(finished, tmp_path):
    threaded = Project.copy(tmp_path / "project")
    threaded.run("--runner", "ThreadRunner")
    for setting in SETTINGS:
        pd.testing.assert_frame_equal(threaded.results(setting), finished.results(setting))
    kinds = [run.data.tags.get("kind") for run in threaded.tracked()]
    assert kinds.count("detector") == sum(finished.results(setting)["detector"].nunique() for setting in SETTINGS)
