"""Whole runs exclude all others; processes that make different parts live side by side."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from object_store import Bucket

from scaling_ood import locks, storage
from scaling_ood.locks import Locks


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Locks]]:
    """Take the locks of another run."""
    monkeypatch.setattr(locks, "_MOMENT", 0.1)
    taken: list[Locks] = []

    def one(part: str | None = None) -> Locks:
        taken.append(Locks())
        taken[-1].take(tmp_path, "multi_class", part)
        return taken[-1]

    yield one
    for each in taken:
        each.release()


def test_sixteen_parts_live_side_by_side(take: Callable[..., Locks]) -> None:
    assert len([take(f"{number}/16") for number in range(1, 17)]) == 16


def test_two_whole_runs_do_not(take: Callable[..., Locks], tmp_path: Path) -> None:
    take()
    message = rf"process \d+ on \S+ is writing the products of multi_class in {tmp_path}: wait until it is done"
    with pytest.raises(click.ClickException, match=message):
        take()


def test_the_same_part_twice_is_refused(take: Callable[..., Locks]) -> None:
    take("3/16")
    with pytest.raises(click.ClickException, match=r"process \d+ on \S+, which makes part 3/16, is writing"):
        take("3/16")


def test_no_part_is_made_beside_a_whole_run_and_no_whole_run_beside_a_part(take: Callable[..., Locks]) -> None:
    whole = take()
    with pytest.raises(click.ClickException, match="is writing the products"):
        take("1/2")
    whole.release()
    part = take("1/2")
    with pytest.raises(click.ClickException, match="which makes part 1/2, is writing"):
        take()
    part.release()
    take()


def test_a_refused_run_leaves_nothing_locked(take: Callable[..., Locks]) -> None:
    whole = take()
    with pytest.raises(click.ClickException):
        take("1/2")
    whole.release()
    take("1/2")


@pytest.fixture
def elsewhere(store: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Locks]]:
    """The same in an object store, of a run on some machine."""
    monkeypatch.setattr(locks, "_MOMENT", 0.1)
    taken: list[Locks] = []

    def one(machine: str, part: str | None = None) -> Locks:
        monkeypatch.setattr(locks, "gettempdir", lambda: str(tmp_path / machine))
        monkeypatch.setattr(locks.socket, "gethostname", lambda: machine)
        taken.append(Locks())
        taken[-1].take(store.place("data/multi_class"), "multi_class", part)
        return taken[-1]

    yield one
    for each in taken:
        each.release()
    assert store.names() == set()


def test_in_an_object_store_a_second_run_of_this_machine_is_refused(
    elsewhere: Callable[..., Locks], store: Bucket
) -> None:
    elsewhere("here")
    message = rf"process \d+ on here is writing the products of multi_class in {store.address}/data/multi_class: wait"
    with pytest.raises(click.ClickException, match=message):
        elsewhere("here")
    with pytest.raises(click.ClickException, match=message):
        elsewhere("here", "1/2")


def test_a_run_of_another_machine_is_warned(elsewhere: Callable[..., Locks], caplog: pytest.LogCaptureFixture) -> None:
    first = elsewhere("there")
    assert caplog.text == ""
    elsewhere("here")
    assert "Began to write the products of multi_class in " in caplog.text
    assert " on there. If it still runs, stop one of the two" in caplog.text
    first.release()


def test_parts_are_not_warned_of_each_other_but_of_whole_runs_and_of_their_own(
    elsewhere: Callable[..., Locks], caplog: pytest.LogCaptureFixture
) -> None:
    parts = [elsewhere(machine, f"{number}/3") for number, machine in enumerate(("here", "here", "there"), 1)]
    assert caplog.text == ""
    elsewhere("far", "2/3").release()
    assert "on here, which makes part 2/3. If" in caplog.text
    caplog.clear()
    whole = elsewhere("far")
    assert "on here, which makes part 1/3; " in caplog.text
    for part in parts:
        part.release()
    caplog.clear()
    elsewhere("here", "1/3")
    assert " on far. If" in caplog.text
    whole.release()


def test_what_killed_parts_have_left_is_gone_after_a_whole_run(
    elsewhere: Callable[..., Locks], store: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    storage.write(store.place("data/multi_class/.running-1-of-3"), b"process 1 on gone, which makes part 1/3,")
    elsewhere("here").release()
    assert "process 1 on gone" in caplog.text
    assert store.names() == set()
