"""Fixtures that tests of several packages share."""

import pytest
from toy_benchmark import TOY, TOY_NETWORK

from scaling_ood.models import ARCHITECTURES


@pytest.fixture
def toy_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register `toy`, with made-up published weights, and `toy_network`, without any."""
    monkeypatch.setitem(ARCHITECTURES, "toy", TOY)
    monkeypatch.setitem(ARCHITECTURES, "toy_network", TOY_NETWORK)
