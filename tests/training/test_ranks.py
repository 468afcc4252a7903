"""Two processes train as one does: the same global batches, losses, weights and states."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_ranks import ToyRun, alone, second_process
from toy_trainings import TRAININGS

from scaling_ood.training import ResumableState
from scaling_ood.training.ranks import ALONE, Ranks, Share, current, join, together

UNEVEN = [
    ("head", 13, False),  # The last step has one image, so one process has none.
    ("classifier", 15, False),
    ("multi_label_head", 3, False),
    ("multi_label", 3, False),
    ("rotation", 13, False),
    ("segmenter", 3, True),
    ("segmenter_with_hints", 3, True),
    ("segmenter_of_scales", 6, True),
    ("autoencoder", 3, True),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def pair() -> Iterator[None]:
    with second_process():
        yield


def one_process(run: ToyRun, state: ResumableState | None = None) -> ResumableState:
    with alone():
        return list(run(state))[-1]


def two_processes(run: ToyRun, state: ResumableState | None = None) -> ResumableState:
    assert current().share == Share(0, 2)
    return list(together(run, state))[-1]


def assert_close(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key], tolerance)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_close(mine, theirs, tolerance)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance)
    else:
        assert one == (pytest.approx(other, abs=tolerance) if isinstance(one, float) else other)


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("name", TRAININGS)
def test_losses_weights_and_states_of_three_epochs_equal_those_of_one_process(name: str, folder: Path) -> None:
    run = ToyRun(name, folder)
    whole = one_process(run)
    assert len(whole["history"]) == 3
    assert_close(two_processes(run), whole)


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(("name", "batch_images", "mixed"), UNEVEN)
def test_steps_that_do_not_divide_evenly_and_scenes_of_several_sizes_change_nothing(
    name: str, batch_images: int, mixed: bool, folder: Path
) -> None:
    run = ToyRun(name, folder, batch_images, mixed)
    assert_close(two_processes(run), one_process(run))


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("name", ["multi_label", "segmenter_of_scales"])
def test_a_training_goes_on_with_another_number_of_processes(name: str, folder: Path) -> None:
    step = ToyRun(name, folder, epochs=1)
    state = two_processes(step, one_process(step, two_processes(step)))
    assert_close(state, one_process(ToyRun(name, folder)))


def test_every_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    with pytest.raises(ValueError, match=r"^device 'cuda:1' with 2 processes: each takes a GPU of its own"):
        Ranks(Share(0, 2)).parallel(torch.nn.Linear(1, 1), torch.device("cuda:1"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ValueError, match=r"^process 1 of this machine has no GPU: there are 1\."):
        join()


def test_shares_are_all_images_once_and_as_equal_as_can_be() -> None:
    for ranks, images, batches in ((3, 7, 1), (8, 2, 4), (5, 2, 1), (4, 3, 2)):
        seen = []
        for rank in range(ranks):
            slices = [Share(rank, ranks).of(images, batches, place) for place in range(batches)]
            seen.append([place * images + i for place, own in enumerate(slices) for i in range(images)[own]])
        assert list(chain(*seen)) == list(range(images * batches))
        assert max(map(len, seen)) - min(map(len, seen)) <= 1


def test_one_process_changes_no_number() -> None:
    assert ALONE.sums([0.1, 0.2]) == ALONE.highest([0.1, 0.2]) == [0.1, 0.2]
    assert ALONE.weights([3, 0]) == [1.0, 1.0]
    module = torch.nn.Linear(1, 1)
    assert ALONE.parallel(module, torch.device("cuda:7")) is module
