"""Tables of people's own images: what counts as 0, 1 and unlabelled, and everything that is wrong at once."""

import random

import pandas as pd
import pytest

from scaling_ood.images.multi_label import AnnotationError, MultiLabelSource
from scaling_ood.images.multi_label.sources import read_listing


@pytest.fixture
def csv_set(make_tree):
    """Lay out images and a table of that text."""

    def write(text, *images, name="manifest.csv", encoding="utf-8"):
        root = make_tree(*images)
        (root / name).write_text(text, encoding=encoding)
        return root

    return write


def read(root, **options):
    return read_listing(MultiLabelSource("mine", root, "table", **options))


PLAIN = "path,split,cat,a dog\nx/1.jpg,train,1,0\nx/2.jpg,test,0,0\n3.png,train,1,1\n4.png,test,,\n"
IMAGES = ("x/1.jpg", "x/2.jpg", "3.png", "4.png")


def test_columns_are_classes_in_their_order(csv_set):
    listing = read(csv_set(PLAIN, *IMAGES))
    assert listing.classes == ("cat", "a dog")
    assert [tuple(each) for each in listing.images] == [
        ("4.png", "4.png", "test", None),
        ("x/2.jpg", "x/2.jpg", "test", ()),
        ("3.png", "3.png", "train", (0, 1)),
        ("x/1.jpg", "x/1.jpg", "train", (0,)),
    ]


def test_parquet_says_the_same_as_csv(csv_set, tmp_path):
    expected = read(csv_set(PLAIN, *IMAGES))
    pd.read_csv(tmp_path / "manifest.csv").to_parquet(tmp_path / "mine.parquet")
    assert read(tmp_path, manifest="mine.parquet") == expected


@pytest.mark.parametrize("kind", [bool, int, float, "Int64", "boolean"])
def test_numbers_and_truth_values_of_a_parquet_file_are_as_good(make_tree, kind):
    draw = random.Random(0)
    shown = [[draw.randrange(2) for _ in range(3)] for _ in range(20)]
    root = make_tree(*(f"{number:02d}.jpg" for number in range(20)))
    table = pd.DataFrame(shown, columns=["a", "b", "c"]).astype(kind)
    table.assign(path=[f"{number:02d}.jpg" for number in range(20)]).to_parquet(root / "manifest.parquet")
    hot = [[int(index in each.labels) for index in range(3)] for each in read(root).images]
    assert hot == shown


def test_without_splits_all_images_are_of_the_split_all(csv_set):
    listing = read(csv_set("cat,path\n1,a.jpg\n", "a.jpg"))
    assert listing.images == [("a.jpg", "a.jpg", "all", (0,))]


def test_chosen_columns_are_the_classes_and_the_others_are_left_alone(csv_set):
    root = csv_set("path,photographer,cat,dog,cow\na.jpg,Ann,1,0,1\n", "a.jpg")
    listing = read(root, classes=["cow", "dog"])
    assert (listing.classes, listing.images[0].labels) == (("cow", "dog"), (0,))
    with pytest.raises(ValueError, match=r"manifest\.csv: unknown class column 'cwo'; did you mean 'cow'\?"):
        read(root, classes=["cwo"])
    with pytest.raises(AnnotationError, match=r"values other than 0 and 1 \(1\): a\.jpg: photographer = 'Ann'"):
        read(root)


def test_only_wanted_splits_are_looked_at(csv_set):
    root = csv_set(PLAIN, "x/1.jpg", "3.png")
    assert len(read(root, splits=["train"]).images) == 2
    with pytest.raises(ValueError, match=r"unknown split 'tran'; did you mean 'train'\?"):
        read(root, splits=["tran"])


def test_the_mark_that_spreadsheets_put_first_is_no_part_of_a_name(csv_set):
    assert len(read(csv_set("path,cat\na.jpg,1\n", "a.jpg", encoding="utf-8-sig")).images) == 1


def test_a_name_is_never_taken_for_a_missing_value(csv_set):
    listing = read(csv_set("path,NA\nNA,1\nnull,0\n", "NA", "null"))
    assert [(each.key, each.labels) for each in listing.images] == [("NA", (0,)), ("null", ())]


def test_one_table_must_be_there(csv_set, tmp_path):
    with pytest.raises(ValueError, match=r"no manifest\.csv or manifest\.parquet, one of them"):
        read(tmp_path)
    csv_set(PLAIN, *IMAGES)
    pd.read_csv(tmp_path / "manifest.csv").to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(ValueError, match="one of them"):
        read(tmp_path)
    assert len(read(tmp_path, manifest="manifest.csv").images) == 4
    with pytest.raises(ValueError, match=r"no labels\.csv$"):
        read(tmp_path, manifest="labels.csv")


def test_everything_that_is_wrong_is_said_at_once(csv_set):
    text = (
        "path,split,cat,dog,cat\n"
        "a.jpg,train,1,0,0\n"
        "a.jpg,train,1,0,0\n"
        "gone.jpg,train,0,0,0\n"
        "../b.jpg,train,0,0,0\n"
        "/b.jpg,train,0,0,0\n"
        "c.jpg,train,,1,0\n"
        "d.jpg,train,2,yes,0\n"
        ",train,0,0,0\n"
        "d.jpg,,0,0,0\n"
        "d.jpg,train,0\n"
    )
    with pytest.raises(AnnotationError) as caught:
        read(csv_set(text, "a.jpg", "c.jpg", "d.jpg"))
    kinds = dict(kind.split(": ", 1) for kind in str(caught.value).split("\n  ")[1:])
    assert kinds == {
        "columns that are there twice (1)": "'cat' in manifest.csv",
        "malformed tables (1)": "manifest.csv: row 10 has 3 fields, not 5",
        "values other than 0 and 1 (2)": "d.jpg: cat = '2'; d.jpg: dog = 'yes'",
        "images listed but absent (1)": "gone.jpg",
        "paths that lead out of the folder (2)": "../b.jpg; /b.jpg",
        "rows with labels for a part of the classes (1)": "c.jpg",
        "rows without a path or a split (2)": "8; 9",
        "images listed more than once (1)": "a.jpg in train and train",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"columns that are missing \(2\): path in manifest\.csv; one column per class in manifest\.csv"),
        ("image,cat\na.jpg,1\n", r"columns that are missing \(1\): path in manifest\.csv$"),
        ("path,split\na.jpg,x\n", r"columns that are missing \(1\): one column per class"),
        ('path,cat\n"a.jpg,1\n', r"malformed tables \(1\): manifest\.csv: unexpected end of data$"),
        ("path,cat\n", r"no image$"),
    ],
)
def test_a_file_that_is_no_such_table_is_named(csv_set, text, said):
    with pytest.raises(AnnotationError, match=said):
        read(csv_set(text, "a.jpg"))


def test_a_file_that_is_no_parquet_is_named(csv_set):
    with pytest.raises(AnnotationError, match=r"malformed tables \(1\): manifest\.parquet: "):
        read(csv_set("path,cat\n", name="manifest.parquet"))
