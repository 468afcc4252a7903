"""Imports without the search for garbage."""

import gc

import pytest

from scaling_ood.lasting import lasting


def test_nothing_is_looked_for_inside_and_what_is_made_there_is_never_looked_at() -> None:
    frozen = gc.get_freeze_count()
    with lasting():
        assert not gc.isenabled()
        made: list[object] = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(made)
    assert not any(each is made for each in gc.get_objects())
    gc.unfreeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was_also_after_an_error(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    try:
        with pytest.raises(ImportError), lasting():
            raise ImportError
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
        gc.unfreeze()
