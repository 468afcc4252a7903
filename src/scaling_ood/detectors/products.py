"""Matrices: products of which no half is computed twice or is 0, and eigenvectors."""

from __future__ import annotations

import scipy.linalg
import torch

_BLOCK = 256


def add_outer_products(total: torch.Tensor, rows: torch.Tensor) -> None:
    """Add X'X of rows (N, D) to the lower blocks of a total (D, D); see `symmetric`."""
    width = rows.shape[1]
    for start in range(0, width, _BLOCK):
        stop = min(start + _BLOCK, width)
        total[start:stop, :stop] += rows[:, start:stop].T @ rows[:, :stop]


def symmetric(lower: torch.Tensor) -> torch.Tensor:
    """The symmetric matrix of which the lower triangle is given."""
    return lower.tril() + lower.tril(-1).T


def times_upper(rows: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
    """X U of rows (N, D) and an upper triangular matrix (D, D).

    >>> times_upper(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [0.0, 3.0]])).tolist()
    [[1.0, 5.0]]
    """
    starts = range(0, upper.shape[1], _BLOCK)
    return torch.cat([rows[:, : i + _BLOCK] @ upper[: i + _BLOCK, i : i + _BLOCK] for i in starts], dim=1)


def inverse_of_lower(factor: torch.Tensor) -> torch.Tensor:
    """The inverse of a lower triangular matrix (D, D) in float64, lower triangular too."""
    if factor.device.type != "cpu":
        unit = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
        inverse: torch.Tensor = torch.linalg.solve_triangular(factor, unit, upper=False)
        return inverse
    return torch.from_numpy(scipy.linalg.lapack.dtrtri(factor.numpy(), lower=1)[0])


def eigenvalues(matrix: torch.Tensor) -> torch.Tensor:
    """Eigenvalues (D,) of a symmetric matrix, in ascending order."""
    if matrix.device.type != "cpu":
        values: torch.Tensor = torch.linalg.eigvalsh(matrix)
        return values
    return torch.from_numpy(scipy.linalg.eigvalsh(matrix.numpy(), check_finite=False))


def eigen(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (D,) of a symmetric matrix, in ascending order, and its eigenvectors (D, D), a column each.

    On a processor LAPACK is SciPy's, which takes two thirds of the time of PyTorch's.
    """
    if matrix.device.type != "cpu":
        found: tuple[torch.Tensor, torch.Tensor] = torch.linalg.eigh(matrix)
        return found
    values, vectors = scipy.linalg.eigh(matrix.numpy(), driver="evr", check_finite=False)
    return torch.from_numpy(values), torch.from_numpy(vectors)
