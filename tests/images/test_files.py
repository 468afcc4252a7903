"""Only regular files are read, whatever they are called; nothing is waited for."""

import os
import socket
import threading
from pathlib import Path

import pytest

from scaling_ood.images import files
from scaling_ood.images.checks import check_image
from scaling_ood.images.files import RefusedFileError, printable, read_file


@pytest.fixture
def quickly():
    """Do something within seconds, or fail; a thread that waits for ever is left behind."""

    def run(work):
        result = []
        thread = threading.Thread(target=lambda: result.append(work()), daemon=True)
        thread.start()
        thread.join(10)
        assert result, "still waiting after 10 s"
        return result[0]

    return run


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.relpath(path))
    listening.close()


MADE = {
    "a FIFO": _fifo,
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "link"])
@pytest.mark.parametrize(("what", "make"), MADE.items(), ids=MADE)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, monkeypatch, quickly, what, make, linked):
    monkeypatch.chdir(tmp_path)  # A socket's path must be short.
    make(tmp_path / "a.jpg")
    if linked:
        (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    problem = quickly(lambda: check_image(tmp_path / ("b.jpg" if linked else "a.jpg")).problem)
    assert problem == f"cannot be read: is {what}, no regular file"


def test_a_file_that_never_ends_is_refused(quickly):
    endless = Path("/proc/self/pagemap")
    if not endless.exists():
        pytest.skip("no /proc here")
    assert quickly(lambda: check_image(endless).problem).startswith("cannot be read: ")


def test_an_error_of_the_system_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read_file(tmp_path / "gone.jpg")
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'gone.jpg'}'"


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    assert check_image(tmp_path / "a.jpg") == ("", "cannot be read: No such file or directory", (0, 0), 1, 8, "", 1)


def test_a_link_to_an_image_is_an_image(tmp_path, make_picture):
    make_picture(8, 8).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert check_image(tmp_path / "b.png").problem == ""


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(files.MOST_BYTES + 1)  # A hole: no bytes on the disk.
    with pytest.raises(RefusedFileError, match="has 268,435,457 bytes, more than the 268,435,456"):
        read_file(tmp_path / "a.png")


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(RefusedFileError, match="is empty"):
        read_file(tmp_path / "a.png")


NAMES = [b"caf\xe9.jpg", b"caf\xc3\xa9.jpg", b"\xff\xfe", b"literal \\xe9.jpg", "日本.png".encode(), b"plain.jpg"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_found_by_its_printable_name(tmp_path, name):
    place = os.path.join(os.fsencode(tmp_path), name)
    with open(place, "wb") as file:
        file.write(b"content")
    shown = printable(os.fsdecode(name))
    assert shown.encode("utf-8").decode() == shown
    assert read_file(tmp_path / shown) == b"content"
    assert read_file(os.fsdecode(place)) == b"content"


def test_a_name_that_is_there_is_taken_literally(tmp_path):
    for name, content in ((b"caf\xe9", b"bytes"), (b"caf\\xe9", b"backslash")):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(content)
    assert read_file(tmp_path / "caf\\xe9") == b"backslash"


def test_text_that_is_no_file_name_can_be_shown():
    assert printable("\ud800x") == "\\ud800x"
