"""The same picture on both sides is counted by pairs of sets; what only looks alike is told apart from it."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scaling_ood.images.looks import DISTANCE, is_flat, look_of, looks_in_bits, nearest_alike
from scaling_ood.images.sharing import SharedImagesError, alike_images, refuse_shared, shared_images

ROLES = ("train", "fit", "test")


def manifest(**sets: str) -> pd.DataFrame:
    """A letter of content for each image; `-` is noise."""
    rows = [
        (f"{name}/{number}", name, "" if letter == "-" else letter)
        for name, letters in sets.items()
        for number, letter in enumerate(letters)
    ]
    return pd.DataFrame(rows, columns=["id", "image_set", "content"])


def told(found):
    return [(one.first, one.second, one.images, one.of) for one in found]


def test_clean_sets_and_noise_share_nothing():
    assert shared_images(manifest(train="abcd", test="ef", odd="gh", noise="--")) == []


def test_pairs_are_counted_by_the_images_of_the_smaller_set():
    found = shared_images(manifest(train="abcdefgh", test="aabx", odd="xyz"))
    assert told(found) == [("test", "train", 3, 4), ("test", "test", 1, 4), ("odd", "test", 1, 3)]
    assert found[0].examples == ("test/0 = train/0", "test/1 = train/0", "test/2 = train/1")
    assert found[1].examples == ("test/1 = test/0",)
    assert str(found[2]) == "1 of 3 (33.33%) odd images have the bytes of images of test (odd/0 = test/3)"
    assert str(found[1]) == "1 of 4 (25.00%) test images have the bytes of another one (test/1 = test/0)"


def test_an_image_that_has_two_roles_on_purpose_is_no_copy():
    rows = manifest(train="ab", fit="a", test="bc").assign(id=["a", "b", "a", "x", "y"])
    assert told(shared_images(rows)) == [("train", "test", 1, 2)]


@pytest.mark.parametrize(
    ("sets", "most", "refused"),
    [
        ({"test": "abcd", "odd": "aefg"}, 0.25, ""),
        ({"test": "abcd", "odd": "aefg"}, 0.24, "1 of 4"),
        ({"train": "abcd", "test": "bcef"}, 0.1, "2 of 4"),
        ({"train": "aaaa", "test": "bcef"}, 0.0, ""),
        ({"test": "xyz", "odd": "abcd", "strange": "abcd"}, 0.0, ""),
    ],
)
def test_more_than_the_tolerated_share_on_both_sides_is_an_error(sets, most, refused):
    found = shared_images(manifest(**sets))
    if not refused:
        refuse_shared(found, ROLES, most)
        return
    with pytest.raises(SharedImagesError, match=rf"tolerated share of {most:g} \(data.most_shared\): {refused}"):
        refuse_shared(found, ROLES, most)


def test_scaled_compressed_and_brightened_copies_look_alike_and_others_do_not(make_picture, tmp_path):
    def encoded(image, name, **options):
        image.save(tmp_path / name, **options)
        return Image.open(tmp_path / name).convert("RGB")

    pictures = [make_picture(97, 64, seed=seed).rotate(37 * seed) for seed in range(12)]
    copies = [
        [
            encoded(picture.resize((200, 131)), "a.png"),
            encoded(picture, "b.jpg", quality=60),
            encoded(picture.point(lambda value: min(255, value + 12)), "c.webp", quality=90),
        ]
        for picture in pictures
    ]
    own = looks_in_bits([look_of(picture) for picture in pictures])
    theirs = looks_in_bits([look_of(copy) for each in copies for copy in each])
    assert not is_flat(own).any()
    bits = np.array([[int(one ^ other).bit_count() for other in theirs] for one in own])
    same = np.repeat(np.eye(len(pictures), dtype=bool), 3, axis=1)
    assert bits[same].max() <= DISTANCE < bits[~same].min()
    assert (nearest_alike(own, theirs) // 3 == np.arange(len(pictures))).all()


def test_the_nearest_are_those_of_a_comparison_of_all_with_all():
    random = np.random.default_rng(0)
    mine, theirs = (random.integers(0, 2**64, count, dtype=np.uint64) for count in (300, 400))
    for number in range(300):
        flips = random.choice(64, number % 7, replace=False)
        theirs[number] = mine[number] ^ np.uint64(sum(1 << int(bit) for bit in flips))
    theirs[300:] = theirs[299]
    expected = [min(int(one ^ other).bit_count() for other in theirs) <= DISTANCE for one in mine]
    found = nearest_alike(mine, theirs)
    assert (found >= 0).tolist() == expected
    assert all(int(one ^ theirs[at]).bit_count() <= DISTANCE for one, at in zip(mine, found, strict=True) if at >= 0)
    assert nearest_alike(mine[:0], theirs).tolist() == []
    assert set(nearest_alike(mine, theirs[:0])) == {-1}


def test_more_comparisons_than_are_made_at_a_time_find_the_same(monkeypatch):
    random = np.random.default_rng(1)
    mine = random.integers(0, 4, 500, dtype=np.uint64) << np.uint64(40) | np.uint64(0xFFFF)
    theirs = random.integers(0, 4, 300, dtype=np.uint64) << np.uint64(44) | np.uint64(0xFFFF)
    at_once = nearest_alike(mine, theirs)
    monkeypatch.setattr("scaling_ood.images.looks._AT_A_TIME", 1000)
    assert (nearest_alike(mine, theirs) >= 0).tolist() == (at_once >= 0).tolist()
    assert (at_once >= 0).all()


def test_alike_images_are_those_that_do_not_share_their_bytes_and_plain_ones_are_not_compared():
    rows = manifest(test="abcd", odd="axyz")
    looks = ["0f" * 8, "f0" * 8, "33" * 8, "00" * 8, "0f" * 8, "f0" * 7 + "f1", "cc" * 8, "00" * 8]
    found = alike_images(rows.assign(look=looks))
    assert [str(one) for one in found] == ["1 of 4 (25.00%) test images look like images of odd (test/1 = odd/1)"]
    refuse_shared(found, ROLES, 0.0)
