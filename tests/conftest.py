"""Fixtures that tests of several packages share."""

from collections.abc import Iterator

import pytest
import torch
from finished_project import finished, finished_run, project
from helpers.fixtures import benches
from helpers.gpu import gpu
from hypothesis import settings
from object_store import bucket, s3_server, store
from toy_networks import toy_architecture

# How long an example takes is the machine's matter.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors in tests are tiny: threads only wait for each other, for seconds where the machine is busy.

    Processes that tests start are to have one as well: by their number, sums differ in the last bit.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def one_thread_left() -> Iterator[None]:
    """No test leaves another number of threads to the next."""
    yield
    left = torch.get_num_threads()
    torch.set_num_threads(1)
    assert left == 1


__all__ = [
    "benches",
    "bucket",
    "finished",
    "finished_run",
    "gpu",
    "project",
    "s3_server",
    "store",
    "toy_architecture",
]
