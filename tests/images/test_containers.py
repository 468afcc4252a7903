"""Only containers are looked into: a file's name may hold anything."""

import pytest

from scaling_ood.images import open_image
from scaling_ood.images.containers import inside, read_bytes


def test_the_mark_of_a_container_in_a_files_name_means_nothing(tmp_path, make_picture):
    path = str(tmp_path / inside("holiday", "1.png"))
    make_picture(8, 6).save(path)
    with open_image(path) as image:
        assert image.size == (8, 6)
    assert read_bytes(path).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["x_lmdb::1.png", "cifar-10-batches-py/test_batch::1.png"])
def test_a_file_called_like_an_image_of_a_container_is_a_file(tmp_path, make_picture, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make_picture(8, 6).save(path)
    assert read_bytes(str(path)) == path.read_bytes()


def test_a_missing_file_is_a_missing_file(tmp_path):
    for name in ("a.png", "a::b.png"):
        with pytest.raises(FileNotFoundError):
            read_bytes(str(tmp_path / name))
