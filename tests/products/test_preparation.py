"""What data preparation found: the manifest, and what of it counts for what is made of it."""

import pandas as pd
import pytest
from toy_graph import toy

from scaling_ood.images.scenes import label_map, label_map_names
from scaling_ood.products.preparation import Classes, Findings, Manifest, Place, Preparation, Scenes
from scaling_ood.structure import checked

ROWS = pd.DataFrame(
    {
        "id": ["squares/1", "squares/0", "greens/0"],
        "path": ["blue/1.png", "blue/0.png", "owl/0.png"],
        "image_set": ["test", "fit", "greens"],
        "data_set": ["squares", "squares", "greens"],
        "content": ["a" * 64, "b" * 64, "c" * 64],
    }
)


def preparation(**changes: object) -> Preparation:
    record = {
        "benchmark": "toy",
        "setting": "multi_class",
        "in_dist": "squares",
        "ood": ("static", "greens"),
        "places": {"squares": Place(root="photographs", folder="sq"), "greens": Place(root="fabricated", folder="g")},
        "classes": ("blue_dark", "red_dark"),
        "sources": {"static": "noise", "greens": "fabricated"},
        "noise": {"static": checked(toy())["multi_class"].spec.data.sets["static"]},  # type: ignore[attr-defined]
        "images": {"fit": 1, "test": 1, "static": 5, "greens": 1},
        "digests": {"fit": "d0", "test": "d1", "static": "d2", "greens": "d3"},
    }
    return Preparation.model_validate(record | changes)


def manifest(**changes: object) -> Manifest:
    return Manifest(ROWS, preparation(**changes), {"photographs": "/photos", "fabricated": "/rendered"})


def test_an_image_set_has_its_rows_in_their_order() -> None:
    assert manifest().of("test")["id"].tolist() == ["squares/1"]
    assert manifest().of("train").empty


def test_files_are_found_where_photographs_and_renderings_are_today() -> None:
    found = manifest().files(ROWS)
    assert [file.path for file in found] == ["/photos/sq/blue/1.png", "/photos/sq/blue/0.png", "/rendered/g/owl/0.png"]


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"digests": {"fit": "d0", "test": "other", "static": "d2", "greens": "d3"}}, True),
        ({"digests": {"fit": "other", "test": "d1", "static": "d2", "greens": "d3"}}, False),
        ({"classes": ("red_dark", "blue_dark")}, True),
        ({"of_classes": Classes(groups=("a", "b"), group_of_class=(1, 0))}, True),
        ({"of_classes": Classes(titles=("dark blue", "dark red"))}, False),
        ({"benchmark": "renamed"}, False),
        ({"places": {"squares": Place(root="fabricated", folder="moved")}}, False),
        ({"found": Findings(unreadable=3)}, False),
        ({"seed": 3}, False),
    ],
)
def test_what_counts_of_image_sets_is_their_content_and_what_classes_there_are(
    changes: dict[str, object], counts: bool
) -> None:
    named = ("test", "greens", "nowhere")
    assert (manifest(**changes).contents(named) != manifest().contents(named)) == counts


def test_a_record_survives_its_storage_as_json() -> None:
    whole = preparation(
        of_classes=Classes(titles=("a", "b"), groups=("g",), group_of_class=(0, 0)),
        scenes=Scenes(
            layout="x", labels="mine", label_ids={0: 0, 7: "anomaly"}, anomalous_share=0.1, without_anomaly=2
        ),
        found=Findings(left_out={"squares": {"no image": 3}}, notes=("one",)),
    )
    assert Preparation.model_validate_json(whole.model_dump_json()) == whole


def test_scenes_know_their_label_map_by_name_or_write_it_out() -> None:
    shipped = label_map_names()[0]
    scenes = {"layout": "x", "anomalous_share": 0.0, "without_anomaly": 0}
    assert Scenes(labels=shipped, **scenes).label_map == label_map(shipped)  # type: ignore[arg-type]
    own = Scenes(labels="mine", label_ids={0: 0, 1: "anomaly"}, label_names={0: "road"}, **scenes)  # type: ignore[arg-type]
    assert own.label_map.classes == ("road",)
