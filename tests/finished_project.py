"""The fixture of a finished run, made once per test session."""

from pathlib import Path

import pytest
from kedro_project import Outcome, Project


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A project in which `kedro run --env test` has finished, and what the command printed. Not to be changed."""
    project = Project.copy(tmp_path_factory.mktemp("finished") / "project")
    return project, project.run()


@pytest.fixture(scope="session")
def finished_project(finished_run: tuple[Project, Outcome]) -> Path:
    """Folder of the project in which `kedro run --env test` has finished. Not to be changed."""
    return finished_run[0].path


@pytest.fixture
def project(finished_run: tuple[Project, Outcome], tmp_path: Path) -> Project:
    """A copy of the finished project, to be changed at will; its store of tracked runs is empty."""
    return finished_run[0].twin(tmp_path / "project")
