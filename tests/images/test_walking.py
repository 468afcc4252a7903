"""What is in a folder is found at any depth, and what is left out says why; links lead nowhere twice."""

import os

import pytest

from scaling_ood.images.walking import DANGLING, HIDDEN, LOOP, walk


def found(root, **options):
    return {str(one.path.relative_to(root)): one.left_out for one in walk(root, **options)}


def test_images_lie_at_any_depth_and_in_any_format_that_is_read(make_tree):
    names = ["a.jpg", "b/c.TIF", "b/d/e/f.webp", "g.jfif", "h.avif", "i.GIF", "j.jp2", "k.ppm", "l.JPE", "m.bmp"]
    assert found(make_tree(*names)) == dict.fromkeys(sorted(names), "")


def test_files_of_other_endings_are_left_out_by_it(make_tree):
    root = make_tree("a.jpg", "b.HEIC", "more/LICENSE", "more/list.txt")
    expected = {"a.jpg": "", "b.HEIC": "ending .heic", "more/LICENSE": "no ending", "more/list.txt": "ending .txt"}
    assert found(root) == expected
    assert found(root, endings=frozenset({".txt"}))["more/list.txt"] == ""


@pytest.mark.parametrize(
    "name", [".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini", "__MACOSX/._a.jpg", "@eaDir/a.jpg"]
)
def test_what_systems_leave_behind_is_left_out_and_no_such_folder_is_entered(make_tree, name):
    assert found(make_tree("a.jpg", name)) == {"a.jpg": "", name.split("/")[0]: HIDDEN}


def test_links_to_files_and_folders_elsewhere_are_followed(make_tree):
    root = make_tree("set/a.jpg", "elsewhere/b.jpg", "c.jpg")
    (root / "set/more").symlink_to(root / "elsewhere")
    (root / "set/c.jpg").symlink_to(root / "c.jpg")
    assert found(root / "set") == {"a.jpg": "", "c.jpg": "", "more/b.jpg": ""}


def test_links_to_nothing_are_named_whatever_their_ending(make_tree):
    root = make_tree("a.jpg")
    (root / "b.jpg").symlink_to(root / "gone.jpg")
    (root / "c").symlink_to(root / "gone")
    (root / "d").symlink_to(root / "d")
    assert found(root) == {"a.jpg": "", "b.jpg": DANGLING, "c": DANGLING, "d": DANGLING}


def test_a_link_to_a_folder_above_ends(make_tree):
    root = make_tree("set/a.jpg", "set/b/c.jpg")
    (root / "set/b/up").symlink_to(root / "set")
    (root / "set/b/far_up").symlink_to("/")
    assert found(root / "set") == {"a.jpg": "", "b/c.jpg": "", "b/far_up": LOOP, "b/up": LOOP}


def test_folders_that_all_link_to_each_other_are_each_read_once(make_tree):
    folders = [f"f{number:02d}" for number in range(12)]
    root = make_tree(*(f"{name}/{name}.jpg" for name in folders))
    for one in folders:
        for other in folders:
            (root / one / f"to_{other}").symlink_to(root / other)
    images = [path for path, reason in found(root).items() if not reason]
    assert sorted(os.path.basename(path) for path in images) == [f"{name}.jpg" for name in folders]


def test_a_folder_that_may_not_be_read_is_named(make_tree, monkeypatch):
    root = make_tree("a.jpg", "locked/b.jpg")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(root) == {"a.jpg": "", "locked": "folder that cannot be read: Permission denied"}


def test_without_depth_sub_folders_are_passed_over(make_tree):
    assert found(make_tree("a.jpg", "b/c.jpg", ".d/e.jpg"), deep=False) == {"a.jpg": "", ".d": HIDDEN}


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert found(tmp_path / "absent") == {}


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    assert found(tmp_path) == {"a.jpg": ""}
