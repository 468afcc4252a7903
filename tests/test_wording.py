"""Messages about unknown names, and long lists."""

import pytest

from scaling_ood.wording import counted, did_you_mean, refuse_unknown


def test_a_hint_names_the_nearest_word_only_if_there_is_one():
    assert did_you_mean("foldr", ["folder", "layout"]) == "; did you mean 'folder'? (known: folder, layout)"
    assert did_you_mean("zzz", ["folder", "layout"]) == " (known: folder, layout)"
    assert did_you_mean("zzz", []) == " (known: none)"


def test_all_unknown_names_are_told_at_once():
    refuse_unknown("split", ["val"], ["train", "val"])
    with pytest.raises(ValueError, match=r"^voc: unknown split 'vla'; did you mean 'val'\?.*; unknown split 'x'"):
        refuse_unknown("split", ["vla", "train", "x"], iter(["train", "val"]), "voc")


def test_many_reasons_are_told_in_one_short_line():
    shown = counted({**{f"ending .{number:03d}": 1 for number in range(100)}, "link to nothing": 3})
    assert shown.startswith("link to nothing: 3; ending .000: 1; ")
    assert shown.endswith("; 93 other reasons: 93")
    assert len(shown) < 200
