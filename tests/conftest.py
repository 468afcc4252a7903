"""Fixtures that tests of several packages share."""

import pytest
from finished_project import finished_project, finished_run, project
from toy_benchmark import TOY, TOY_NETWORK

from scaling_ood.models import ARCHITECTURES


@pytest.fixture
def toy_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register `toy`, with made-up published weights, and `toy_network`, without any."""
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    monkeypatch.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)


__all__ = ["finished_project", "finished_run", "project", "toy_architecture"]
