"""A head's own order of the classes."""

from pathlib import Path

import pytest

from scaling_ood.models import named_positions, positions, read_class_order


def test_a_file_names_one_class_a_line(tmp_path: Path) -> None:
    (tmp_path / "order.txt").write_bytes("﻿bee\r\n ant \n\ncafé\n".encode())
    assert read_class_order(tmp_path / "order.txt") == ("bee", "ant", "café")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"\xff\xfe\x00", "no text file"),
        (b"\n \n", "is empty"),
        (b"a\nb\na\n", "names twice: a"),
    ],
)
def test_what_is_no_order_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "order.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_class_order(file)


def test_classes_that_are_not_the_data_sets_are_named_with_the_nearest() -> None:
    message = (
        r"order\.txt, 3 classes, is not an order of the data set's 2: lacks bee; did you mean 'bees'\?; names others"
    )
    with pytest.raises(ValueError, match=message):
        positions(["ant", "bees", "cow"], ["ant", "bee"], "order.txt")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (["School Bus", "fire-engine", "cab"], [2, 1, 0]),
        (["cab", "fire_engine", "school_bus"], []),
        (["CAB", "fire engine", "School-Bus"], []),
        (["taxi", "truck", "coach"], []),
        (["cab", "fire_engine"], []),
        (["taxi", "fire engine", "school_bus"], []),
    ],
)
def test_the_order_is_that_of_names_which_belong_to_one_alone(own: list[str], expected: list[int]) -> None:
    assert named_positions(own, ["cab", "fire_engine", "school_bus"], "hf:mine") == expected


def test_names_that_only_in_part_are_the_data_sets_and_in_another_order_are_refused() -> None:
    message = (
        r"hf:mine names its classes, and has them in another order than the data set: school_bus \(class 2 of the "
        r"data, output 0\)\. It has no name for cab, fire_engine.* state class_order"
    )
    with pytest.raises(ValueError, match=message):
        named_positions(["School Bus", "coach", "lorry"], ["cab", "fire_engine", "school_bus"], "hf:mine")


def test_names_that_only_spelling_tells_apart_are_not_mixed_up() -> None:
    assert positions(["a_b", "A-B"], ["A-B", "a_b"], "order.txt") == [1, 0]
    with pytest.raises(ValueError, match=r"lacks ab; did you mean 'a_b'\?"):
        positions(["AB", "a_b", "c"], ["ab", "a b", "c"], "order.txt")
