"""What a spec accepts, and what its errors say."""

import pytest

from miniatures import MiniatureSpec


def test_default_is_the_size_of_the_issue():
    spec = MiniatureSpec()
    assert (spec.families, spec.species_per_family, spec.ood_families, spec.supercategories) == (40, 3, 16, 4)
    assert spec.size_px == 64


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("families", 1),
        ("families", 80),
        ("families", 4.0),
        ("species_per_family", 0),
        ("ood_families", 0),
        ("ood_families", 41),
        ("supercategories", 17),
        ("train_images", 0),
        ("val_images", True),
        ("ood_images", 100_000),
        ("size_px", 8),
        ("spread", -0.1),
        ("spread", float("nan")),
        ("spread", "wide"),
        ("seed", -1),
    ],
)
def test_each_field_is_checked(field, value):
    with pytest.raises(ValueError, match=rf"^MiniatureSpec: {field}={value!r}, allowed: .* from .* to "):
        MiniatureSpec(**{field: value})


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"families=1, .*; spread=2\.0, .*; seed=-1"):
        MiniatureSpec(families=1, spread=2.0, seed=-1)


def test_unused_combinations_limit_the_unseen_families():
    MiniatureSpec(families=2, ood_families=2, supercategories=1)
    with pytest.raises(ValueError, match="ood_families=3, allowed: an integer from 1 to 2"):
        MiniatureSpec(families=2, ood_families=3, supercategories=1)
