"""Threads take turns with the process's one generator."""

from functools import partial
from threading import Thread

import pytest
import torch
from torch import nn
from toy_networks import PREPROCESSING

from scaling_ood.models import ARCHITECTURES, Architecture, ClassHead, build_network, published_digest
from scaling_ood.models.chance import alone, seeded
from scaling_ood.models.skeleton import skeleton


def build(_: bool) -> tuple[nn.Module, nn.Linear]:
    """Drawn anew from the process's generator, as libraries do before they load weights."""
    return nn.Flatten(), nn.Linear(5, 4)


@pytest.mark.parametrize(
    "work",
    [
        partial(published_digest, "drawn"),
        partial(build_network, "drawn", partial(ClassHead, classes=4), seed=3, start="random"),
        partial(skeleton, partial(nn.Linear, 5, 4)),
    ],
)
def test_what_builds_a_network_waits_for_who_draws(monkeypatch, work):
    monkeypatch.setitem(ARCHITECTURES, "drawn", Architecture(build, 5, preprocessing=PREPROCESSING, weights="made up"))
    published_digest.cache_clear()
    with seeded(0):
        expected = torch.rand(2)
    other = Thread(target=work)
    with alone(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = torch.rand(())
        other.start()
        other.join(0.3)
        assert other.is_alive()
        second = torch.rand(())
    other.join(10)
    assert not other.is_alive()
    assert torch.stack([first, second]).equal(expected)


def test_what_is_seeded_changes_nothing_outside():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first = torch.rand(())
    with seeded(5):
        torch.rand(3)
    assert torch.stack([first, torch.rand(())]).equal(expected)
