"""Fixtures that tests of several packages share."""

from collections.abc import Iterator

import pytest
import torch
from finished_project import finished_project, finished_run, project
from toy_benchmark import TOY, TOY_NETWORK

from scaling_ood.models import ARCHITECTURES


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors in tests are tiny: threads only wait for each other, for seconds where the machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def toy_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register `toy`, with made-up published weights, and `toy_network`, without any."""
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    monkeypatch.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)


__all__ = ["finished_project", "finished_run", "project", "toy_architecture"]
