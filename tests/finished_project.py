"""The fixture of a finished run, made once for all test processes."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from kedro_project import Outcome, Project


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A project in which `kedro run --env test` has finished, and what the command printed. Not to be changed."""
    base = tmp_path_factory.getbasetemp()
    # Processes of pytest-xdist have folders beside one another.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    printed = folder / "output.txt"
    with FileLock(f"{folder}.lock"):
        if not printed.exists():
            outcome = Project.copy(folder / "project").run_apart()
            printed.write_text(outcome.output)
    return Project(folder / "project"), Outcome(0, printed.read_text())


@pytest.fixture(scope="session")
def finished(finished_run: tuple[Project, Outcome]) -> Project:
    """The project in which `kedro run --env test` has finished. Not to be changed."""
    return finished_run[0]


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, to be changed at will; its store of tracked runs is empty."""
    return finished.twin(tmp_path / "project")
