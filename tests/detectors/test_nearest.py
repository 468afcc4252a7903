"""However the nearest rows are searched, the distance is that of float64."""

import pytest
import torch

from scaling_ood.detectors.nearest import Nearest


def noise(generator):
    """All are about as far from each other."""
    return torch.randn(700, 64, generator=generator).relu(), torch.randn(90, 64, generator=generator).relu()


def clusters(generator):
    centres = 5 * torch.randn(30, 64, generator=generator)
    rows, others = (centres[torch.arange(n) % 30] + torch.randn(n, 64, generator=generator) for n in (700, 90))
    return rows, others


def copies(generator):
    """Some are nearly those that are held, some wholly."""
    rows = 100 + torch.randn(700, 64, generator=generator)
    near = rows[:90] + 1e-4 * torch.randn(90, 64, generator=generator)
    near[::3] = rows[:90:3]
    return rows, near


def one_far_away(generator):
    """Beside it all others have the same code."""
    rows, others = noise(generator)
    rows[400] *= 1e4
    return rows, others


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("k", [1, 10, 700])
@pytest.mark.parametrize("made", [noise, clusters, copies, one_far_away])
def test_the_distance_is_that_of_float64(made, k, integers):
    rows, others = made(torch.Generator().manual_seed(0))
    squares = (others.double()[:, None] - rows.double()).square().sum(dim=2)
    expected = squares.kthvalue(k, dim=1).values
    found = Nearest(rows, integers=integers).squared_distance(others, k)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
