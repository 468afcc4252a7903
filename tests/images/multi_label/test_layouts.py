"""What holds for every multi-label layout: names, options and folders."""

import re

import pytest

from scaling_ood.images.multi_label import MultiLabelSource, multi_label_layout_names, read_listing


def test_the_layouts_are_these():
    assert multi_label_layout_names() == ["coco", "table", "voc"]


@pytest.mark.parametrize("layout", multi_label_layout_names())
def test_a_missing_folder_is_named(tmp_path, layout):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no folder {tmp_path / 'absent'}")):
        read_listing(MultiLabelSource("x", tmp_path / "absent", layout))


def test_an_unknown_layout_names_the_nearest_and_all(tmp_path):
    message = "unknown multi-label layout 'cocoa'; did you mean 'coco'? (known: coco, table, voc)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_listing(MultiLabelSource("x", tmp_path, "cocoa"))


def test_options_that_mean_nothing_to_a_layout_are_all_named(tmp_path):
    source = MultiLabelSource("x", tmp_path, "table", year=2012, hard_objects="ignored", unlabelled=("test",))
    with pytest.raises(ValueError, match=r"no year .*no hard_objects .*no unlabelled .*takes: manifest, classes"):
        read_listing(source)
    with pytest.raises(ValueError, match="layout coco takes no manifest"):
        read_listing(MultiLabelSource("x", tmp_path, "coco", manifest="m.csv"))


def test_an_unknown_rule_for_hard_objects_names_both(tmp_path):
    message = r"unknown rule for hard objects 'ignore'; did you mean 'ignored'\? \(known: counted, ignored\)"
    with pytest.raises(ValueError, match=message):
        read_listing(MultiLabelSource("x", tmp_path, "voc", hard_objects="ignore"))
