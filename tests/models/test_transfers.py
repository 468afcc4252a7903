"""Batches go through a device in order, whatever is copied meanwhile."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from scaling_ood.models import transfers
from scaling_ood.models.transfers import passed_through

BATCHES = [(number, torch.full((2, 3), float(number))) for number in range(5)]


def doubled(number, batch):
    return {"doubled": batch * 2, "number": torch.full((2,), number, device=batch.device)}


def is_right(results):
    assert [tag for tag, _ in results] == list(range(5))
    for number, made in results:
        assert made["doubled"].device.type == "cpu"
        assert made["doubled"].tolist() == [[2.0 * number] * 3] * 2
        assert made["number"].tolist() == [number] * 2


def test_on_a_processor_nothing_is_done_ahead():
    begun = []
    results = passed_through(torch.device("cpu"), BATCHES, lambda *given: begun.append(given[0]) or doubled(*given))
    assert begun == []
    first = next(results)
    assert begun == [0]
    is_right([first, *results])


def test_a_batch_is_handed_out_when_the_next_was_begun_and_its_copy_has_arrived(monkeypatch):
    happened = []

    class Stream:
        def __init__(self, device):
            self.device = device

        def wait_stream(self, other):
            """Nothing to wait for."""

        def record_event(self):
            last = happened[-1][1]
            return SimpleNamespace(synchronize=lambda: happened.append(("arrived", last)))

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: None)

    def work(number, batch):
        happened.append(("begun", number))
        return doubled(number, batch)

    results = []
    for tag, made in transfers._beside(torch.device("cpu"), BATCHES, work):
        happened.append(("out", tag))
        results.append((tag, made))
    is_right(results)
    assert happened[:4] == [("begun", 0), ("begun", 1), ("arrived", 0), ("out", 0)]
    assert happened[4:7] == [("begun", 2), ("arrived", 1), ("out", 1)]
    assert happened[-4:] == [("arrived", 3), ("out", 3), ("arrived", 4), ("out", 4)]


@pytest.mark.gpu
def test_on_a_gpu_what_comes_back_is_whole(gpu):
    generator = torch.Generator().manual_seed(0)
    batches = [(number, torch.rand(512, 2048, generator=generator)) for number in range(20)]
    batches = [(number, batch.pin_memory() if gpu.type == "cuda" else batch) for number, batch in batches]
    weight = torch.rand(2048, 1000, generator=generator, dtype=torch.float64)
    for number, made in passed_through(gpu, batches, lambda _, x: {"product": x.double() @ weight.to(x.device)}):
        torch.testing.assert_close(made["product"], batches[number][1].double() @ weight, rtol=1e-9, atol=1e-9)
