"""Raw images to a manifest, in every setting: roles, digests, what is set apart, and what a reader is told."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from encoded import turned_jpeg
from helpers.bench import bench, only
from helpers.toys import TOYS
from PIL import Image

from scaling_ood.evaluation.facts import data_facts
from scaling_ood.images import ChangedFileError
from scaling_ood.images.manifest import TooManyUnreadableError
from scaling_ood.images.sharing import SharedImagesError
from scaling_ood.tasks import tasks

SETTINGS = [task.name for task in tasks()]


@pytest.fixture(params=SETTINGS)
def setting(request):
    return request.param


@pytest.fixture
def own(setting, tmp_path):
    """A benchmark in a folder of its own, and the places of its three photographs."""
    made = bench(setting, tmp_path, detectors=only("msp"))
    return made, [made.photographs / name for name in TOYS[setting].photographs]


def prepare(made, **changes):
    data = type(made.spec.data).model_validate({**made.spec.data.model_dump(), **changes})
    roots = {"photographs": str(made.photographs)}
    return made.task.prepare(data, "toy", roots, 0, None)


def set_of(manifest, path):
    """Image set of a photograph."""
    (found,) = [row["image_set"] for _, row in manifest.rows.iterrows() if str(path).endswith(f"/{row['path']}")]
    return found


def test_every_image_has_one_row_and_one_role(own, setting):
    manifest, bad = prepare(own[0])
    sizes = TOYS[setting].sizes
    assert manifest.rows["id"].is_unique
    assert manifest.rows.groupby("image_set").size().to_dict() == sizes
    known = manifest.rows[manifest.rows["path"] != ""]
    assert not known.duplicated(["data_set", "path"]).any()
    record = manifest.preparation
    assert (record.benchmark, record.setting, record.images, len(bad)) == ("toy", setting, sizes, 0)
    assert record.digests.keys() == sizes.keys()
    assert len(set(record.digests.values())) == len(sizes)


def test_clean_data_leaves_nothing_to_tell(own, caplog):
    found = prepare(own[0])[0].preparation.found
    assert (found.left_out, found.shared, found.notes, found.unreadable, found.oriented) == ({}, (), (), 0, {})
    assert "WARNING" not in caplog.text


def test_moved_data_keeps_every_digest(own, tmp_path):
    made, photographs = own
    before = prepare(made)[0].preparation
    made.photographs = Path(shutil.copytree(made.photographs, tmp_path / "moved"))
    assert prepare(made)[0].preparation == before
    image = Image.open(made.photographs / photographs[1].relative_to(tmp_path / "photographs"))
    image.putpixel((3, 3), (1, 2, 3))
    image.save(image.filename)
    manifest = prepare(made)[0]
    changed = {name for name, digest in manifest.preparation.digests.items() if digest != before.digests[name]}
    assert changed == {set_of(manifest, image.filename)}


def test_a_damaged_image_is_set_apart_by_name_and_too_many_end_it(own):
    made, photographs = own
    photographs[1].write_bytes(b"\x89PNG half")
    manifest, bad = prepare(made, most_unreadable=0.4)
    assert [path.split("/")[-1] for path in bad["path"]] == [photographs[1].name]
    assert manifest.preparation.found.unreadable == 1
    assert bad["id"].iloc[0] not in set(manifest.rows["id"])
    with pytest.raises(TooManyUnreadableError, match=photographs[1].stem):
        prepare(made, most_unreadable=0.001)


def test_files_that_are_left_out_are_counted_and_told_once(own, caplog):
    made, photographs = own
    folder = photographs[1].parent
    for name in ("a.heic", "notes.txt", ".DS_Store"):
        (folder / name).touch()
    (folder / "gone.png").symlink_to("nowhere.png")
    manifest, bad = prepare(made)
    (reasons,) = manifest.preparation.found.left_out.values()
    assert reasons == {"hidden, or of the system": 1, "ending .heic": 1, "ending .txt": 1, "link to nothing": 1}
    assert {Path(path).name for path in bad["path"]} >= {"a.heic", "notes.txt", "gone.png"}
    assert manifest.preparation.found.unreadable == 0
    assert caplog.text.count("WARNING") == 1
    assert "ending .heic: 1" in caplog.text


def test_the_same_bytes_on_both_sides_are_refused_or_told(own, caplog):
    made, photographs = own
    manifest = prepare(made)[0]
    first = Path(manifest.files(manifest.of(made.task.training_sets[0]).head(1))[0].path)
    shutil.copy(first, photographs[1])
    with pytest.raises(SharedImagesError, match="have the bytes of images of"):
        prepare(made)
    caplog.clear()
    (found,) = prepare(made, most_shared=0.5)[0].preparation.found.shared
    assert (found.images, found.near) == (1, False)
    assert str(found) in caplog.text


def test_pictures_that_look_alike_are_told_where_one_asks(own):
    made, photographs = own
    random = np.random.default_rng(0)
    with Image.open(photographs[0]) as image:
        size = image.size
    picture = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((96, 96))
    picture.resize(size).save(photographs[0])
    with Image.open(photographs[1]) as image:
        picture.resize(image.size, Image.Resampling.BILINEAR).save(photographs[1])
    near = {found.near for found in prepare(made)[0].preparation.found.shared}
    assert near == set()
    found = prepare(made, near_duplicates=True)[0].preparation.found.shared
    told = [str(one) for one in found if any(photographs[0].stem in example for example in one.examples)]
    assert any("look like" in one for one in told)


def test_photographs_that_exif_would_turn_are_counted_told_and_turned_as_asked(own, caplog):
    made, photographs = own
    with Image.open(photographs[1]) as image:
        stored = image.copy()
    place = photographs[1].with_suffix(".jpg")
    photographs[1].unlink()
    place.write_bytes(turned_jpeg(stored, 3))
    records = {}
    for said in ("stored", "upright"):
        caplog.clear()
        manifest = prepare(made, orientation=said)[0]
        records[said] = manifest.preparation
        own_set = set_of(manifest, place)
        assert records[said].found.oriented == {own_set: 1}
        assert len([line for line in caplog.messages if f"1 of {own_set}: t" in line]) == 1
    digests = [records[said].digests for said in ("stored", "upright")]
    assert {name for name in digests[0] if digests[0][name] != digests[1][name]} == {own_set}
    assert data_facts(records["upright"])["Images with an EXIF orientation"] == f"1 of {own_set}: turned as EXIF says"


def test_outputs_are_those_of_the_photograph_as_it_is_asked_to_be_turned(own, tmp_path):
    made, photographs = own
    with Image.open(photographs[1]) as image:
        stored = image.copy()
    place = photographs[1].with_suffix(".jpg")
    photographs[1].unlink()
    seen = {}
    place.write_bytes(turned_jpeg(stored, 3))
    for said in ("stored", "upright"):
        changes = {"detectors": only("msp"), "data__orientation": said}
        one = bench(made.setting, tmp_path / said, made.photographs, **changes)
        rows = one.manifest.rows
        mine = rows.index[rows["path"].map(lambda path: str(place).endswith(f"/{path}") and path != "")][0]
        image_set = rows.loc[mine, "image_set"]
        number = list(rows.index[rows["image_set"] == image_set]).index(mine)
        tensors = one.outputs().read(f"{image_set}-00000")
        scene = f"{number:05d}/seed0/logits/0"
        seen[said] = tensors[scene] if scene in tensors else tensors["seed0/logits"][number]
    assert not seen["stored"].equal(seen["upright"])


def test_a_photograph_that_changed_since_ends_the_pass_before_its_shard_and_a_copied_one_does_not(own):
    made, photographs = own
    made.load(f"{made.shared}.model")
    plan = made.made(f"{made.shared}.outputs")
    owner = set_of(made.manifest, photographs[2])
    parts = [part for part in plan.parts if part.name.startswith(f"{owner}-")]
    content = photographs[2].read_bytes()
    photographs[2].write_bytes(content)  # another time, the same content
    assert [name for name, _ in plan.make(parts)] == [part.name for part in parts]
    photographs[2].write_bytes(photographs[0].read_bytes())
    with pytest.raises(ChangedFileError, match=f"{photographs[2].name} has other content"):
        list(plan.make(parts))


# Where images are rendered

RENDERED = {
    "multi_class": (
        {"families": 2, "species_per_family": 2, "ood_families": 1, "supercategories": 1, "train_images": 2}
        | {"val_images": 4, "ood_images": 2, "size_px": 16},
        {"data__in_dist": "miniature", "data__ood": ["unseen"], "data__train": {"split": "train"}}
        | {"data__fit": {"split": "val", "per_class": 1}, "data__test": {"split": "val"}},
        {"train": 8, "fit": 4, "test": 12, "unseen": 4},
    ),
    "multi_label": (
        {"known_kinds": 10, "unseen_kinds": 5, "train_images": 4, "val_images": 4, "ood_images": 1}
        | {"control_images": 1, "size_px": 32},
        {"data__in_dist": "miniature_composite", "data__ood": ["unseen"]}
        | {"data__labelled": {"source": "fabricated", "layout": "coco", "folder": "in_dist"}},
        {"train": 4, "fit": 2, "test": 2, "unseen": 5},
    ),
    "segmentation": (
        {"training_towns": 1, "validation_towns": 1, "test_towns": 1, "training_images": 4, "validation_images": 2}
        | {"test_images": 3, "control_images": 0, "height_px": 48, "width_px": 80},
        {"data": {"in_dist": "miniature", "source": "fabricated", "layout": "streethazards", "folder": "."}},
        {"train": 4, "validation": 2, "test": 3},
    ),
}
SETS = {
    "miniature": {"source": "fabricated", "layout": "image_folder", "folder": "in_dist", "groups": "class_prefix"},
    "unseen": {"source": "fabricated", "layout": "class_folders", "folder": "ood"},
}


def test_rendered_images_are_read_back_and_a_lost_folder_alone_is_rendered_again(setting, tmp_path):
    request, changes, sizes = RENDERED[setting]
    changes = {**changes, "data_sets__miniature": SETS["miniature"], "data_sets__unseen": SETS["unseen"]}
    made = bench(setting, tmp_path, detectors=only("msp"), fabrication=request, **changes).run("manifest")
    assert made.manifest.preparation.images == sizes
    assert "rendered" in str(made.manifest.folders)
    rendered = made.load("fabricated_images")
    kept, lost = sorted(rendered.parts)[0], sorted(rendered.parts)[-1]
    before = {path: path.stat().st_mtime_ns for path in (rendered.folder / kept).iterdir()}
    shutil.rmtree(rendered.folder / lost)
    again = made.manifest.preparation
    made.run("manifest")
    assert made.manifest.preparation == again
    assert {path: path.stat().st_mtime_ns for path in (rendered.folder / kept).iterdir()} == before


def test_another_request_is_another_product(setting, tmp_path):
    request, changes, _ = RENDERED[setting]
    changes = {**changes, "data_sets__miniature": SETS["miniature"], "data_sets__unseen": SETS["unseen"]}
    keys = {
        bench(setting, tmp_path, tmp_path, detectors=only("msp"), fabrication=request | {"seed": seed}, **changes)
        .made("fabricated_images")
        .key
        for seed in (0, 0, 1)
    }
    assert len(keys) == 2


def test_one_table_says_which_set_got_how_many_images_of_how_many_classes_from_where(own, setting, caplog):
    caplog.set_level("INFO", "scaling_ood")
    manifest = prepare(own[0])[0]
    (told,) = (message for message in caplog.messages if message.startswith("Images\n"))
    lines = told.splitlines()[1:]
    assert lines[0].split() == ["image", "set", "images", "classes", "data", "set", "folder"]
    shown = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert {name: int(cells[0]) for name, cells in shown.items()} == TOYS[setting].sizes
    for image_set, rows in manifest.rows.groupby("image_set"):
        data_set = rows["data_set"].iloc[0]
        assert shown[image_set][2:] == [data_set, manifest.folders.get(data_set, "generated")]
    assert len({line.index(f"  {cells[2]}", 12) for line, cells in zip(lines[1:], shown.values(), strict=True)}) == 1
    facts = data_facts(manifest.preparation)
    place = manifest.preparation.places[manifest.preparation.in_dist]
    assert facts["Images for test"].startswith(f"{TOYS[setting].sizes['test']}, ")
    assert f"from {manifest.preparation.in_dist} in {place.folder}" in facts["Images for test"]


def test_the_table_counts_the_classes_that_are_shown(own, setting):
    manifest = prepare(own[0])[0]
    counted = {one.image_set: one.classes for one in manifest.preparation.found.origins}
    if setting == "segmentation":
        names = set(";".join(manifest.of("train")["classes"]).split(";"))
        assert counted["train"] == len(names)
    elif setting == "multi_label":
        assert counted["train"] == len(set(";".join(manifest.of("train")["labels"]).split(";")) - {""})
    else:
        assert counted["train"] == manifest.of("train")["class_name"].nunique()
