"""Storing in a thread beside the making: one behind, in order, and no error is lost."""

import gc
import threading
import time
import weakref

import pytest

from scaling_ood.datasets.storing import stored_beside


class Thing:
    """Something that can be watched while it is in memory."""


def test_the_next_is_made_while_one_is_stored_and_no_more_than_one_waits():
    happened, go_on = [], threading.Event()

    def made():
        for number in range(4):
            happened.append(("made", number))
            if number == 1:
                go_on.set()
            yield number

    def store(number):
        # Ends only if the next one is made meanwhile.
        assert go_on.wait(10)
        assert threading.current_thread() is not threading.main_thread()
        happened.append(("stored", number))
        return number

    assert list(stored_beside(made(), store)) == [0, 1, 2, 3]
    for number in range(3):
        assert happened.index(("stored", number)) < happened.index(("stored", number + 1))
    for number in range(2):  # two are never ahead of the storing
        assert happened.index(("stored", number)) < happened.index(("made", number + 2))


def test_an_error_of_the_storing_ends_the_making():
    made = []

    def things():
        for number in range(5):
            made.append(number)
            yield number

    def store(number):
        if number == 1:
            raise OSError("No space left on device")
        return number

    stored = []
    with pytest.raises(OSError, match="No space left"):
        stored.extend(stored_beside(things(), store))
    assert made == [0, 1, 2]
    with pytest.raises(OSError, match="No space left"):  # also of the last thing
        list(stored_beside([0, 1], store))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_made_before_an_error_of_the_making_is_stored(error):
    stored = []

    def things():
        yield 0
        yield 1
        raise error

    def store(number):
        time.sleep(0.05)
        stored.append(number)

    with pytest.raises(error):
        list(stored_beside(things(), store))
    assert stored == [0, 1]


def test_who_stops_early_leaves_nothing_half_stored():
    stored = []
    begun = stored_beside(range(10), stored.append)
    next(begun)
    begun.close()
    assert stored == [0, 1]


def test_what_is_stored_does_not_stay_in_memory():
    alive = []

    def things():
        for number in range(3):
            thing = Thing()
            alive.append(weakref.ref(thing))
            yield thing
            del thing
            if number:
                gc.collect()
                assert alive[number - 1]() is None

    list(stored_beside(things(), lambda thing: None))
