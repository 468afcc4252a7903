"""Ray Train: two workers of a small local cluster train what one process does."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_ranks import ToyRun

from scaling_ood.engines import Ray
from scaling_ood.engines.ray_train import Shape, train_together
from scaling_ood.training import ResumableState

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two cores; workers find the modules of the tests too."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    paths = [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(":")]
    given = {"env_vars": {"PYTHONPATH": ":".join(paths)}}
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=given)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(run: ToyRun, state: ResumableState | None = None) -> list[ResumableState]:
    return list(train_together(ray, Shape(cores=1, gpus=0, workers=2), run, state))


def close(one: Any, other: Any) -> bool:
    return all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_two_workers_go_on_with_what_one_process_began_and_their_states_come_back(tmp_path: Path) -> None:
    run = ToyRun("classifier", tmp_path)
    first, *expected = run(None)
    made = trained(run, first)
    assert [state["epoch"] for state in made] == [2, 3]
    for mine, theirs in zip(made, expected, strict=True):
        assert close(mine["models"]["seed1.last"], theirs["models"]["seed1.last"])
        assert mine["history"][-1]["train_loss"] == pytest.approx(theirs["history"][-1]["train_loss"], abs=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"classifier-0", "classifier-1"}


def test_where_the_cluster_has_no_gpu_this_process_trains(tmp_path: Path) -> None:
    run = ToyRun("head", tmp_path, epochs=1)
    (made,) = Ray("auto", cores_each=1).train(run, None)
    (expected,) = run(None)
    assert all(
        torch.equal(made["models"]["seed1.last"][name], each) for name, each in expected["models"]["seed1.last"].items()
    )
    assert {path.name for path in tmp_path.iterdir()} == {"head-0"}


def test_what_a_worker_raises_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the disk is full"):
        trained(ToyRun("classifier", tmp_path, fails=1))
