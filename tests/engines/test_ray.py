"""A small local cluster makes the parts; where Ray is not installed, these tests are skipped."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from scaling_ood.datasets import RecordedDataset, ShardsDataset
from scaling_ood.engines import Ray
from scaling_ood.engines import ray as engine
from scaling_ood.engines.ray import LostWorkersError, connected, shape_of
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Make, Part, Plan
from scaling_ood.products.scores import Measured

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")


@dataclass(frozen=True)
class Slowly:
    """Makes parts whose values follow from their names; says in a folder which process makes what."""

    notes: str
    pause: float = 0.0
    breaks: str = ""
    kills: str = ""

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        for part in missing:
            (Path(self.notes) / f"{os.getpid()}-{part.name}").touch()
            time.sleep(self.pause)
            if part.name == self.breaks:
                raise ArithmeticError(f"{part.name} is not to be made")
            if part.name == self.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            yield part.name, {"x": torch.arange(part.items) * 1.5 + int(part.name[-2:])}


@dataclass(frozen=True)
class Doubled:
    """A second round, that reads the first."""

    first: Make[dict[str, torch.Tensor]]
    notes: str

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
        for part in missing:
            (Path(self.notes) / f"{os.getpid()}-2{part.name}").touch()
            ((name, tensors),) = self.first([part])
            yield name, {"x": tensors["x"] * 2}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two cores, for all tests here; workers find the modules of the tests too."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(":")]
    given = {"env_vars": {"PYTHONPATH": ":".join(paths)}}
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=given)
    ray.cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
    yield
    ray.shutdown()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where workers say what they make."""
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def plan(notes: Path, parts: int = 12, **how: Any) -> Plan[dict[str, torch.Tensor]]:
    return Plan([Part(f"part-{k:02d}", 5) for k in range(parts)], Slowly(str(notes), **how), {}, Origin("key"))


ENGINE = Ray("cpu", cores_each=1)


def on_ray(folder: Path) -> ShardsDataset:
    dataset = ShardsDataset(filepath=str(folder))
    dataset.engine = ENGINE
    return dataset


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


def makers(notes: Path) -> dict[int, list[str]]:
    """Process to the parts that it has begun."""
    found: dict[int, list[str]] = {}
    for note in notes.iterdir():
        process, name = note.name.split("-", 1)
        found.setdefault(int(process), []).append(name)
    return found


def test_two_workers_leave_what_one_process_would(tmp_path: Path, notes: Path) -> None:
    on_ray(tmp_path / "ray").save(plan(notes, pause=0.1))
    begun = makers(notes)
    assert os.getpid() not in begun
    assert len(begun) == 2
    assert sorted(name for names in begun.values() for name in names) == [part.name for part in plan(notes).parts]
    ShardsDataset(filepath=str(tmp_path / "local")).save(plan(notes))
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "local")
    assert ShardsDataset(filepath=str(tmp_path / "ray")).load().items == 60


def test_a_product_that_comes_of_parts_is_that_of_one_process_and_goes_on_after_a_kill(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def product(make: Make[dict[str, torch.Tensor]], parts: Sequence[Part]) -> Measured:
        sums = [float(tensors["x"].sum()) for _, tensors in make(parts)]
        return Measured(pd.DataFrame({"sum": sums}), pd.DataFrame({"of": [part.name for part in parts]}))

    def again(make: Make[dict[str, torch.Tensor]], parts: Sequence[Part]) -> Plan[dict[str, torch.Tensor]]:
        return Plan(parts, Doubled(make, str(notes)), then=product)

    given = replace(plan(notes, pause=0.05), next_round=again)
    expected: Measured = given.whole()
    for note in notes.iterdir():
        note.unlink()
    own = RecordedDataset(filepath=str(tmp_path / "product"))
    own.engine = ENGINE
    with monkeypatch.context() as dying:
        dying.setattr(Plan, "after", _dies)
        with pytest.raises(KeyboardInterrupt):
            own.save(given)
    own.save(given)
    found = own.load()
    pd.testing.assert_frame_equal(found.results, expected.results, check_exact=True)
    pd.testing.assert_frame_equal(found.metrics, expected.metrics)
    begun = makers(notes)
    assert os.getpid() not in begun
    every = [part.name for part in given.parts]
    assert sorted(name for names in begun.values() for name in names) == sorted([*every, *(f"2{n}" for n in every)])
    assert {path.name for path in (tmp_path / "product").iterdir()} == {
        "record.json",
        "results.parquet",
        "metrics.parquet",
    }


def _dies(*_: Any) -> None:
    raise KeyboardInterrupt


def test_only_what_is_missing_is_made(tmp_path: Path, notes: Path) -> None:
    ShardsDataset(filepath=str(tmp_path / "ray")).save(plan(notes))
    for name in ("part-03", "part-09"):
        (tmp_path / "ray" / f"{name}.safetensors").unlink()
    for note in notes.iterdir():
        note.unlink()
    on_ray(tmp_path / "ray").save(plan(notes))
    assert sorted(name for names in makers(notes).values() for name in names) == ["part-03", "part-09"]


def test_the_parts_of_a_worker_that_is_killed_go_to_others(tmp_path: Path, notes: Path) -> None:
    store, given = on_ray(tmp_path / "ray"), plan(notes, pause=0.1)
    missing, killed, made = store.missing(given), 0, []
    for part in store.engine.make(store, given, missing):
        made.append(part.name)
        if len(made) == 3:
            killed = next(iter(makers(notes)))
            os.kill(killed, signal.SIGKILL)
    assert sorted(made) == [part.name for part in given.parts]
    begun = makers(notes)
    others = {name for process, names in begun.items() if process != killed for name in names}
    assert set(begun[killed]) - set(made[:4]) <= others
    ShardsDataset(filepath=str(tmp_path / "local")).save(plan(notes))
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "local")


def test_an_error_of_the_maker_is_told_as_it_is(tmp_path: Path, notes: Path) -> None:
    store, given = on_ray(tmp_path / "ray"), plan(notes, 2, breaks="part-01")
    with pytest.raises(ArithmeticError, match=r"^part-01 is not to be made$"):
        list(store.engine.make(store, given, store.missing(given)))


def test_a_part_that_kills_every_worker_is_named(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_LOSSES", 2)
    store, given = on_ray(tmp_path / "ray"), plan(notes, 1, kills="part-00")
    with pytest.raises(LostWorkersError, match="2 Ray workers were lost while they made part-00"):
        list(store.engine.make(store, given, store.missing(given)))


def test_parts_that_are_stored_where_this_process_does_not_look_are_told(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.0)
    given = plan(notes, 1)
    with pytest.raises(LostWorkersError, match=r"1 parts that Ray workers have stored are not seen here, .* share"):
        engine._make_sure_it_is_seen(on_ray(tmp_path / "elsewhere"), given)


def test_workers_fit_into_the_machines() -> None:
    large, small = ({"Alive": True, "Resources": {"CPU": cores}} for cores in (64.0, 6.0))
    gone = {"Alive": False, "Resources": {"CPU": 999.0}}
    assert shape_of([large, small, gone], "auto", None) == (4, 0, 17)
    assert shape_of([{"Alive": True, "Resources": {"CPU": 2.0}}], "auto", None) == (2, 0, 1)
    assert shape_of([large, small], "auto", 32) == (32, 0, 2)
    with pytest.raises(ValueError, match=r"no machine of the Ray cluster has 65 cores for a worker \(it has 64, 6\)"):
        shape_of([large, small], "auto", 65)


def test_each_gpu_has_a_worker_with_its_share_of_the_cores() -> None:
    node = {"Alive": True, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    head = {"Alive": True, "Resources": {"CPU": 4.0}}
    assert shape_of([node, node, head], "auto", None) == (8, 1, 16)
    assert shape_of([node, head], "cuda", 4) == (4, 1, 8)
    assert shape_of([node, head], "cpu", 4) == (4, 0, 17)


@pytest.fixture
def not_connected(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    return monkeypatch


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-host.invalid:6379"])
def test_an_address_at_which_nothing_answers_is_told_at_once(not_connected: pytest.MonkeyPatch, address: str) -> None:
    not_connected.setattr(ray, "init", lambda **_: pytest.fail("Ray would try for minutes"))
    with pytest.raises(ConnectionError, match=f"runtime.address: no Ray cluster answers at {address}"):
        connected(address)


def test_a_missing_token_is_told_in_words(not_connected: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise ray.exceptions.AuthenticationError("Token authentication is enabled but no token was found")

    not_connected.setattr(ray, "init", init)
    with pytest.raises(ConnectionError, match=r"runtime\.address: .*RAY_AUTH_TOKEN.*no token was found"):
        connected("auto")


def test_a_cluster_that_runs_already_is_taken() -> None:
    assert connected(None) is ray
