"""Threads beside each other: results in order, few in memory, the first error told, PyTorch's threads as before."""

import threading
import time

import pytest
import torch

from scaling_ood.evaluation.side_by_side import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    before = []
    monkeypatch.setattr(torch, "set_num_threads", before.append)
    yield request.param
    assert before[-1:] == ([3] if request.param > 1 else [])


def test_results_come_in_the_order_of_the_items(threads):
    def work(item):
        time.sleep(0.002 * (item % 3))
        return item, threading.get_ident()

    found = list(side_by_side(work, range(20), CPU))
    assert [item for item, _ in found] == list(range(20))
    assert (len({name for _, name in found}) > 1) == (threads > 1)


def test_items_are_taken_when_there_is_room(threads):
    taken = []
    results = side_by_side(lambda item: item, (taken.append(item) or item for item in range(50)), CPU)
    next(results)
    assert len(taken) <= 2 * threads + 1
    results.close()


def test_the_first_error_in_order_is_told(threads):
    def work(item):
        time.sleep(0.01 if item == 2 else 0)
        if item >= 2:
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 2"):
        list(side_by_side(work, range(10), CPU))
