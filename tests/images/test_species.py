"""Species: ten folders of folders."""

import pytest
from image_trees import images_of

from scaling_ood.images import EmptyClassError, Entry, list_files
from scaling_ood.images.species import split_species


def test_a_class_is_known_by_its_supercategory_and_name(make_tree):
    root = make_tree("Fungi/Amanita muscaria/1.jpg", "Fish/Amanita muscaria/2.jpg", "Fish/Esox lucius/3.jpeg", "a.txt")
    assert images_of(list_files("species", root)) == [
        Entry("Fish/Amanita muscaria/2.jpg", "all", "Fish/Amanita muscaria"),
        Entry("Fish/Esox lucius/3.jpeg", "all", "Fish/Esox lucius"),
        Entry("Fungi/Amanita muscaria/1.jpg", "all", "Fungi/Amanita muscaria"),
    ]


def test_empty_supercategories_and_species_are_named(make_tree):
    root = make_tree("Fungi/", "Mollusks/1.jpg", "Fish/Esox lucius/3.jpeg")
    with pytest.raises(EmptyClassError, match=r"2 supercategories of .* hold no folder of a species: Fungi, Mollusks"):
        list_files("species", root)
    root = make_tree("Fungi/Amanita muscaria/", "Mollusks/Octopus vulgaris/1.jpg")
    with pytest.raises(EmptyClassError, match=r"1 class folders of .* hold no image: Fungi/Amanita muscaria$"):
        list_files("species", root)


NAMES = [
    f"{supercategory}/{number:02d}"
    for supercategory, n in (("Fish", 20), ("Fungi", 7), ("Plants", 2))
    for number in range(n)
]


def held_out(names, share=0.25, seed=0):
    return set(split_species(names, share, seed).held_out)


def test_every_species_is_known_or_held_out_and_every_supercategory_has_both():
    split = split_species(NAMES, held_out=0.25, seed=0)
    assert sorted(split.known + split.held_out) == NAMES
    counts = [sum(name.startswith(each) for name in split.held_out) for each in ("Fish/", "Fungi/", "Plants/")]
    assert counts == [5, 2, 1]
    assert split.known == tuple(sorted(split.known))


@pytest.mark.parametrize(("share", "expected"), [(0.01, 3), (0.99, 19 + 6 + 1)])
def test_at_least_one_is_held_out_and_one_is_known(share, expected):
    assert len(held_out(NAMES, share)) == expected


def test_the_draw_does_not_depend_on_order_repetition_or_other_supercategories():
    whole = held_out(NAMES)
    assert held_out([*reversed(NAMES), *NAMES]) == whole
    assert held_out([name for name in NAMES if not name.startswith("Fungi")]) == {
        name for name in whole if not name.startswith("Fungi")
    }


def test_seeds_differ_and_supercategories_are_drawn_apart():
    assert len({frozenset(held_out(NAMES, seed=seed)) for seed in range(10)}) > 5
    twins = [f"{supercategory}/{number:02d}" for supercategory in ("Fish", "Fungi") for number in range(20)]
    fish, fungi = (
        {name.split("/")[1] for name in held_out(twins) if name.startswith(each)} for each in ("Fish", "Fungi")
    )
    assert fish != fungi


def test_all_names_that_cannot_be_split_are_told():
    message = (
        r"^1 classes are not named <supercategory>/<species>: tench; "
        r"supercategories with a single species cannot be split: Moss$"
    )
    with pytest.raises(ValueError, match=message):
        split_species(["Moss/a", "tench", "Fish/a", "Fish/b"], 0.5, 0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_out_of_range(share):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        split_species(NAMES, share, 0)
