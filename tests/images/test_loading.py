"""Images as data preparation found them."""

from pathlib import Path

import pytest
import torch
from PIL import ExifTags, Image

from scaling_ood.images import Loading, Orientation, as_decoded, image_size, read_image
from scaling_ood.images.loading import UnreadableImageError


@pytest.mark.parametrize("form", ["jpg", "tiff", "png"])
@pytest.mark.parametrize("orientation", ["stored", "upright"])
@pytest.mark.parametrize("turn", [1, 3, 6])
def test_the_size_of_an_image_that_is_not_decoded_is_that_of_the_decoded_one(
    tmp_path: Path, form: str, orientation: Orientation, turn: int
) -> None:
    path, exif = tmp_path / f"image.{form}", Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    Image.new("RGB", (40, 24)).save(path, exif=exif)
    assert image_size(str(path), orientation) == read_image(str(path), orientation).size


def test_a_file_that_is_gone_names_the_command_that_lists_the_images_anew(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="kedro run --pipelines data_preparation"):
        image_size(str(tmp_path / "gone.png"))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_in_the_order_of_decoding_have_the_same_numbers(workers: int) -> None:
    images = [torch.randint(0, 256, (5, 4, 3), dtype=torch.uint8).permute(2, 0, 1) for _ in range(7)]
    usual, other = (
        [*Loading(2, workers).batches(images, pin_memory=False, shards=[3, 4], collate=collate)]
        for collate in (None, as_decoded)
    )
    assert [len(batch) for batch in other] == [2, 1, 2, 2]
    assert all(map(torch.equal, usual, other))
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in other)
