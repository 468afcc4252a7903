"""No process waits for one that has ended, and the reason is told."""

from pathlib import Path

import pytest
from toy_ranks import ToyRun, leave, second_process

from scaling_ood.training.ranks import LostProcessError, together


def test_where_another_process_fails_the_first_one_ends_and_the_other_says_why(tmp_path: Path) -> None:
    with second_process() as other:
        with pytest.raises(LostProcessError, match=r"^another process of this training has ended"):
            list(together(ToyRun("multi_label_head", tmp_path, fails=1), None))
        assert other.wait(timeout=60) == 1
        assert "ValueError: the disk is full" in other.stderr.read()


def test_where_the_first_process_fails_the_others_end(tmp_path: Path) -> None:
    with second_process() as other:
        with pytest.raises(ValueError, match="the disk is full"):
            list(together(ToyRun("multi_label_head", tmp_path, fails=0), None))
        leave(done=False)
        assert other.wait(timeout=60) == 1
        assert "LostProcessError: another process of this training has ended" in other.stderr.read()


def test_without_others_a_training_need_not_be_picklable() -> None:
    assert list(together(lambda state: iter([{"state": state}]), {"epoch": 1})) == [{"state": {"epoch": 1}}]
