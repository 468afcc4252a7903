"""Whole runs exclude all others; processes that make different parts live side by side."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from scaling_ood import locks
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
