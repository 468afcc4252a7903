"""Good images pass, broken ones are told apart by what is wrong with them."""

import hashlib
import io
import os

import pytest

from scaling_ood.images.checks import check_image, check_images


@pytest.fixture
def save(tmp_path, make_picture):
    """Write a picture as a file of that name and return its path."""

    def write(name, mode="RGB", size=(97, 64), **options):
        make_picture(*size, mode).save(tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.jpg", "RGB"),
        ("a.JPEG", "L"),
        ("a.jpg", "CMYK"),
        ("a.png", "RGB"),
        ("a.png", "RGBA"),
        ("a.png", "P"),
        ("a.png", "1"),
        ("a.bmp", "RGB"),
        ("a.webp", "RGB"),
    ],
)
def test_good_images_pass(save, name, mode):
    path = save(name, mode)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert check_image(path) == (digest, "", (97, 64), 1, 8, "", 1)


def test_progressive_jpeg_passes(save):
    assert check_image(save("a.jpg", progressive=True, size=(300, 200))).problem == ""


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_images_fail(save, name, share):
    path = save(name, size=(300, 200))
    os.truncate(path, int(share * path.stat().st_size))
    digest, problem, *_ = check_image(path)
    assert "truncated" in problem
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_a_header_alone_fails(save):
    path = save("a.jpg")
    os.truncate(path, 4)
    assert check_image(path).problem


@pytest.mark.parametrize("content", [b"<html>404 Not Found</html>", bytes(1000)], ids=["text", "zeros"])
def test_files_that_are_no_images_fail(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    # Pillow's message ends with the address of a buffer, which would differ from run to run.
    assert check_image(path)[:2] == (hashlib.sha256(content).hexdigest()[:16], "cannot identify image file")


def test_a_broken_png_checksum_fails(tmp_path, make_picture):
    stream = io.BytesIO()
    make_picture(40, 40).save(stream, "png")
    content = bytearray(stream.getvalue())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(content)
    assert check_image(tmp_path / "a.png").problem


def test_missing_files_and_folders_fail_without_a_digest(tmp_path):
    for path in (tmp_path / "absent.jpg", tmp_path):
        digest, problem, *_ = check_image(path)
        assert digest == ""
        assert problem.startswith("cannot be read: ")


@pytest.mark.parametrize("name", ["\ud800.jpg", "a\0b.jpg"], ids=["half a character", "null"])
def test_a_name_that_no_file_can_have_is_told(tmp_path, name):
    assert check_image(tmp_path / name).problem.startswith("cannot be read: ")


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_many_files_are_checked_in_their_order(save, tmp_path, workers):
    paths = [save(f"{number:02d}.png", size=(20 + number, 20)) for number in range(12)]
    paths.insert(5, tmp_path / "absent.png")
    checks = list(check_images(paths, workers))
    assert checks == [check_image(path) for path in paths]
    assert [bool(check.problem) for check in checks] == [path.name == "absent.png" for path in paths]
    assert len({check.digest for check in checks}) == 13


def test_no_file_is_fine():
    assert list(check_images([], 2)) == []


def test_a_palette_with_many_transparencies_is_read_without_a_warning(tmp_path, make_picture, recwarn):
    make_picture(20, 16).quantize(32).save(tmp_path / "a.png", transparency=bytes(range(32)))
    assert check_image(tmp_path / "a.png").problem == ""
    assert not recwarn.list
