"""The class tables that ship: counts, order, and the near-OOD split of the animals."""

import re

import pytest

from scaling_ood.images.tables import CLASS_TABLES, class_table


@pytest.mark.parametrize("name", CLASS_TABLES)
def test_classes_are_unique_sorted_and_named(name):
    table = class_table(name)
    assert list(table.columns[:2]) == ["wnid", "name"]
    assert table["wnid"].str.fullmatch(r"n\d{8}").all()
    assert table["wnid"].is_unique
    assert table["wnid"].is_monotonic_increasing
    assert table["name"].notna().all()
    assert not table["name"].str.contains(r"_|,|^\s|\s$").any()


def test_tiny_imagenet_counts():
    table = class_table("tiny_imagenet")
    assert table["group"].value_counts().to_dict() == {"object": 141, "animal": 59}
    assert table["near"].value_counts().to_dict() == {"known": 45, "held_out": 14}
    assert (table["near"].isna() == (table["group"] == "object")).all()
    # WordNet 3.0 numbers noun synsets by file: animals end before n026, where artefacts begin.
    assert ((table["wnid"] < "n02600000") == (table["group"] == "animal")).all()


def test_every_fourth_animal_is_held_out():
    table = class_table("tiny_imagenet")
    animals = table[table["group"] == "animal"].reset_index(drop=True)
    assert animals.index[animals["near"] == "held_out"].tolist() == list(range(3, 59, 4))


def test_imagenet_1k_is_in_the_order_of_the_published_heads():
    table = class_table("imagenet_1k")
    known = {0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 517: "crane", 999: "toilet tissue"}
    assert len(table) == 1000
    assert {index: table["name"][index] for index in known} == known


def test_tiny_imagenet_is_a_subset_of_imagenet_1k():
    tiny, large = (set(class_table(name)["wnid"]) for name in ("tiny_imagenet", "imagenet_1k"))
    assert tiny < large


def test_the_papers_multi_label_classes_are_twenty_and_none_is_of_imagenet_1k():
    table = class_table("multi_label_ood")
    assert len(table) == 20
    assert not set(table["wnid"]) & set(class_table("imagenet_1k")["wnid"])
    assert table["paper_name"].is_unique
    assert table["imagenet_21k_p"].value_counts().to_dict() == {"yes": 14, "no": 6}


def test_wordnet_and_the_paper_do_not_always_mean_the_same():
    named = class_table("multi_label_ood").set_index("wnid")[["name", "paper_name"]].to_dict("index")
    assert named["n12285512"] == {"name": "red alder", "paper_name": "red wood"}
    assert named["n02431122"] == {"name": "red deer", "paper_name": "deer"}
    assert named["n12132956"] == {"name": "noble cane", "paper_name": "sugar cane"}
    assert named["n01970164"] == {"name": "octopus", "paper_name": "octopus"}


def test_unknown_table_names_the_nearest():
    known = "imagenet_1k, multi_label_ood, tiny_imagenet"
    message = f"unknown class table 'tiny_imagnet'; did you mean 'tiny_imagenet'? (known: {known})"
    with pytest.raises(ValueError, match=re.escape(message)):
        class_table("tiny_imagnet")
