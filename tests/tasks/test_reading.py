"""What is wrong with folders is told of all of them at once, in every setting."""

import shutil

import pytest
from helpers.bench import bench, only

from scaling_ood.tasks import tasks
from scaling_ood.tasks.reading import Reading, UnfitFoldersError, read_all


def fail(error):
    raise error


def test_what_can_be_read_is_given_by_name_and_what_cannot_is_told_together():
    assert read_all({"a": Reading(lambda: 1), "b": Reading(lambda: 2)}) == {"a": 1, "b": 2}
    readings = {
        "a": Reading(lambda: fail(ValueError("it is crooked"))),
        "b": Reading(lambda: 2),
        "c": Reading(lambda: fail(FileNotFoundError("no folder /c"))),
    }
    with pytest.raises(UnfitFoldersError) as refused:
        read_all(readings)
    assert str(refused.value) == "a: it is crooked\nno folder /c"


def test_other_errors_are_passed_on():
    with pytest.raises(KeyError):
        read_all({"a": Reading(lambda: fail(KeyError("x")))})


@pytest.mark.parametrize("setting", [task.name for task in tasks()])
def test_every_set_that_lies_wrongly_is_named_with_its_layout_shape_and_what_was_found(setting, tmp_path):
    made = bench(setting, tmp_path, detectors=only("msp"))
    folders = made.spec.data.photographs()
    for folder in {folder.split("/")[0] for folder in folders.values()}:
        place = made.photographs / folder
        shutil.rmtree(place)
        place.mkdir()
        (place / "lost.jpg").touch()
    with pytest.raises(UnfitFoldersError) as refused:
        made.load("manifest")
    told = str(refused.value)
    assert told.count("expects ") >= len(folders) == told.count("found in ")
    for name, folder in folders.items():
        assert name in told
        assert f"found in {made.photographs}/{folder}" in told
