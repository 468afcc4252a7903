"""Whoever makes the parts, the table is the same."""

import pandas as pd
import pytest
from kedro_project import DETECTORS, Project

pytestmark = pytest.mark.slow
SETTING = "multi_label"


def side_by_side(project: Project, *arguments: str) -> None:
    """Two processes at once, each with its own part."""
    started = [project.start("run", *arguments, "--params", f"part={number}/2") for number in (1, 2)]
    for each in started:
        each.join()
    assert [each.exitcode for each in started] == [0, 0], project.printed.read_text()


def test_two_processes_beside_each_other_leave_the_table_of_one(finished, tmp_path):
    shared = Project.copy(tmp_path / "project")
    side_by_side(shared, "--namespaces", SETTING)
    rendered = [path.parent.name for path in shared.product("01_raw/*", SETTING).rglob(".parts/**/*.json")]
    assert rendered
    shared.run("--namespaces", SETTING, "--pipelines", "data_preparation,model_training")
    side_by_side(shared, "--namespaces", SETTING, "--pipelines", "score_extraction")
    shared.run("--to-outputs", f"{SETTING}.classifier.quality")
    side_by_side(shared, "--namespaces", SETTING, "--pipelines", "score_extraction")
    scores = shared.product("07_model_output/*/scores", SETTING)
    assert len([*scores.glob("*/.rounds/*-1/.parts/seed*/*.json")]) > len(DETECTORS[SETTING])
    assert not [*scores.glob("*/record.json")]
    assert not shared.product("08_reporting/*/results.csv", SETTING).exists()
    shared.run("--namespaces", SETTING)
    assert len([*scores.glob("*/record.json")]) == len(DETECTORS[SETTING])
    assert not [*scores.glob("*/.rounds")]
    pd.testing.assert_frame_equal(shared.results(SETTING), finished.results(SETTING))


def test_a_part_that_waits_names_what_comes_first_and_tracks_nothing(tmp_path):
    alone = Project.copy(tmp_path / "project")
    made = alone.run("--namespaces", SETTING, "--params", "part=1/1")
    assert made.output.rstrip().endswith(f"To go on: kedro run --env test --namespaces {SETTING}")
    refused = alone.kedro("run", "--namespaces", SETTING, "--params", "part=1/2")
    refused.refused(
        "Part 1/2 makes nothing yet",
        f"kedro run --to-outputs {SETTING}.manifest --env test",
    )
    assert "part=" not in refused.output
    assert alone.tracked() == []
