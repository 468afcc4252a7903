"""Species: ten folders of folders."""

import pytest

from scaling_ood.images import EmptyClassError, Entry, list_images


def test_a_class_is_known_by_its_supercategory_and_name(make_tree):
    root = make_tree("Fungi/Amanita muscaria/1.jpg", "Fish/Amanita muscaria/2.jpg", "Fish/Esox lucius/3.jpeg", "a.txt")
    assert list_images("species", root) == [
        Entry("Fish/Amanita muscaria/2.jpg", "all", "Fish/Amanita muscaria"),
        Entry("Fish/Esox lucius/3.jpeg", "all", "Fish/Esox lucius"),
        Entry("Fungi/Amanita muscaria/1.jpg", "all", "Fungi/Amanita muscaria"),
    ]


def test_empty_supercategories_and_species_are_named(make_tree):
    root = make_tree("Fungi/", "Mollusks/1.jpg", "Fish/Esox lucius/3.jpeg")
    with pytest.raises(EmptyClassError, match=r"2 supercategories of .* hold no folder of a species: Fungi, Mollusks"):
        list_images("species", root)
    root = make_tree("Fungi/Amanita muscaria/", "Mollusks/Octopus vulgaris/1.jpg")
    with pytest.raises(EmptyClassError, match=r"1 class folders of .* hold no image: Fungi/Amanita muscaria$"):
        list_images("species", root)
