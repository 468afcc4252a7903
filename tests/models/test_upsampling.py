"""Up-sampling in strips gives what PyTorch's own up-sampling of the whole gives, up to rounding."""

import pytest
import torch

from scaling_ood.models.upsampling import rows_of, upsample

ULP = torch.finfo(torch.float32).eps


def in_strips(maps, size, rows):
    of = rows_of(maps, size)
    return torch.cat([of(first, min(first + rows, size[0])) for first in range(0, size[0], rows)], dim=2)


@pytest.mark.parametrize("rows", [1, 7, 16, 1000])
@pytest.mark.parametrize("size", [(72, 96), (50, 71), (9, 12), (5, 7), (72, 12), (9, 96)])
@pytest.mark.parametrize("grid", [(9, 12), (1, 1), (2, 5)])
def test_strips_of_any_height_join_to_the_whole(grid, size, rows):
    maps = torch.randn(1, 3, *grid, generator=torch.Generator().manual_seed(0)) * 10
    whole = upsample(maps, size)
    torch.testing.assert_close(in_strips(maps, size, rows), whole, rtol=0, atol=float(2 * ULP * maps.abs().max()))


@pytest.mark.parametrize("width", [5, 12, 40])
def test_at_the_height_of_the_maps_strips_are_the_whole_bit_by_bit(width):
    maps = torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(in_strips(maps, (9, width), 4), upsample(maps, (9, width)))


def test_precision_is_single_at_least():
    maps = torch.randn(1, 2, 4, 5)
    for dtype, expected in ((torch.float16, torch.float32), (torch.float32,) * 2, (torch.float64,) * 2):
        assert rows_of(maps.to(dtype), (8, 10))(0, 3).dtype == expected
        assert torch.equal(rows_of(maps.to(dtype), (4, 5))(1, 3), maps[:, :, 1:3].to(dtype).to(expected))


def test_infinite_maps_spoil_no_other_pixel_than_in_the_whole():
    maps = torch.randn(1, 2, 6, 6)
    maps[0, :, 2, 2] = -torch.inf
    torch.testing.assert_close(in_strips(maps, (48, 48), 16), upsample(maps, (48, 48)), rtol=0, atol=0, equal_nan=True)
