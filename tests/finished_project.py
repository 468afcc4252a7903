"""The fixture of a finished run, made once per test process."""

from pathlib import Path

import pytest
from kedro_project import Outcome, Project


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A project in which `kedro run --env test` has finished, and what the command printed. Not to be changed."""
    project = Project.copy(tmp_path_factory.mktemp("finished") / "project")
    return project, project.run_apart()


@pytest.fixture(scope="session")
def finished(finished_run: tuple[Project, Outcome]) -> Project:
    """The project in which `kedro run --env test` has finished. Not to be changed."""
    return finished_run[0]


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, to be changed at will; its store of tracked runs is empty."""
    return finished.twin(tmp_path / "project")
