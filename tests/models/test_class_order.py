"""A head's own order of the classes."""

from pathlib import Path

import pytest

from scaling_ood.models import positions, read_class_order


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
