"""What the hooks, the data sets and all threads of a `kedro run` share about MLflow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mlflow.entities import Run

PATIENCE = 15.0
"""Seconds that one piece of work with the store may take; after a longer one nothing more is sent."""

Answer = TypeVar("Answer")

_logger = logging.getLogger(__name__)


class Underway:
    """The MLflow run of the `kedro run`, and what keeps the store from taking runs.

    Attributes:
        parent: The run; None where nothing is tracked.
        problem: Why nothing more is sent in this session; empty while the store works.
        unsent: Names of the runs that it did not take.
    """

    def __init__(self) -> None:
        """Nothing is underway."""
        self.begin()

    def begin(self) -> None:
        """Forget what was."""
        self.parent: Run | None = None
        self.problem = ""
        self.unsent: list[str] = []

    def attempt(self, work: Callable[[], Answer]) -> Answer | None:
        """Do what needs the store, unless it failed before. No failure of it ever ends a run."""
        if self.problem:
            return None
        started = time.monotonic()
        try:
            answer = work()
        except Exception as error:
            _logger.debug("MLflow's store", exc_info=True)
            self.problem = _reason(error)
            return None
        if (seconds := time.monotonic() - started) > PATIENCE:
            self.problem = f"it took {seconds:.0f} s for one run"
        return answer


def _reason(error: BaseException) -> str:
    """The error that all others are about, in one line."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}" if str(error) else type(error).__name__


underway = Underway()
