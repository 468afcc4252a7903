"""Matrices: products of which no half is computed twice or is 0, and eigenvectors.

On a processor BLAS and LAPACK are those of NumPy and SciPy. PyTorch's have no product of triangles, take half as long
again for eigenvectors and, where the processor is not of the maker of its library, a tenth longer for products.

What is said to be an upper triangle is read there alone; below it may stand anything.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from scipy.linalg import blas, lapack
from scipy.sparse.linalg import LinearOperator, eigsh

_BLOCK = 256
_WIDE = 256
"""From where on single precision pays, and single eigenvalues are found sooner than all."""
_CLOSE = 1e-5
_ROWS = 4096
_STANDS_OUT = 1e-3


class OuterProducts:
    """X'X of rows (N, D) that come in chunks.

    In single precision products take half the time, of 256 columns or more. They are added up in float64 after every
    4,096 rows or longer chunk. That changes eigenvalues by about a millionth of their mean: see `stands_out`.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._total: torch.Tensor | None = None
        self._part: torch.Tensor | None = None
        self._rows = 0

    def add(self, rows: torch.Tensor, *, single: bool) -> None:
        """Add those of some rows.

        Args:
            rows: (N, D), float64.
            single: Whether single precision will do, as far as `stands_out` tells afterwards.
        """
        width = rows.shape[1]
        if self._total is None:
            self._total = rows.new_zeros(width, width)
        if not single or width < _WIDE:
            _add_upper(self._total, rows)
            return
        if self._part is None:
            self._part = rows.new_zeros(width, width, dtype=torch.float32)
        if self._rows >= _ROWS:
            self.total()
        _add_upper(self._part, rows.float())
        self._rows += len(rows)

    def total(self) -> torch.Tensor:
        """The upper triangle (D, D) of all that was added, in float64, not a copy."""
        assert self._total is not None
        if self._part is not None and self._rows:
            self._total += self._part
            self._part.zero_()
            self._rows = 0
        return self._total

    def stands_out(self, variance: torch.Tensor | float) -> bool:
        """Whether a variance, or a mean of such, is exact enough: so large, or nothing was in single precision."""
        return self._part is None or bool(variance >= _STANDS_OUT * self.total().diagonal().mean())


def _add_upper(total: torch.Tensor, rows: torch.Tensor) -> None:
    if _on_processor(rows):
        # Seen from Fortran all are transposed, and the upper triangle is the lower one.
        add = blas.ssyrk if rows.dtype == torch.float32 else blas.dsyrk
        add(1.0, rows.numpy().T, beta=1.0, c=total.numpy().T, lower=1, overwrite_c=1)
        return
    for start in range(0, rows.shape[1], _BLOCK):
        stop = start + _BLOCK
        total[start:stop, start:] += rows[:, start:stop].T @ rows[:, start:]


def times(rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """X M of rows (N, D) and a matrix (D, K), of one type.

    >>> times(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [0.0, 3.0]])).tolist()
    [[1.0, 5.0]]
    """
    if _on_processor(rows):
        return torch.from_numpy(rows.detach().numpy() @ matrix.detach().numpy())
    return rows @ matrix


def times_upper(rows: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
    """X U of rows (N, D) and an upper triangular matrix (D, D).

    >>> times_upper(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [0.0, 3.0]])).tolist()
    [[1.0, 5.0]]
    """
    if _on_processor(rows):
        multiply = blas.strmm if rows.dtype == torch.float32 else blas.dtrmm
        return torch.from_numpy(multiply(1.0, upper.numpy().T, rows.numpy().T, lower=1).T)
    starts = range(0, upper.shape[1], _BLOCK)
    return torch.cat([rows[:, : i + _BLOCK] @ upper[: i + _BLOCK, i : i + _BLOCK] for i in starts], dim=1)


def trapezoid(basis: torch.Tensor) -> torch.Tensor:
    """Another orthonormal basis of the space of one, (D, K) with a column each, whose last K rows are upper triangular.

    Lengths in that space are the same by either, and a quarter of the numbers is 0 where K is half of D.

    >>> trapezoid(torch.eye(3).roll(1, 0)[:, :2]).abs().tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    size = basis.shape[1]
    turn, factors = torch.geqrf(basis[-size:].flip(0).T)
    above = torch.ormqr(turn, factors, basis[:-size], left=False)
    return torch.cat([above.flip(1), turn.triu().T.flip(0, 1)])


def times_trapezoid(rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """X M of rows (N, D) and such a matrix (D, K)."""
    size = matrix.shape[1]
    return times_upper(rows[:, -size:], matrix[-size:]).add_(times(rows[:, :-size], matrix[:-size]))


def inverse_of_upper(factor: torch.Tensor) -> torch.Tensor:
    """The inverse of an upper triangular matrix (D, D) in float64, upper triangular too."""
    if _on_processor(factor):
        return torch.from_numpy(lapack.dtrtri(factor.numpy().T, lower=1)[0].T)
    unit = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
    inverse: torch.Tensor = torch.linalg.solve_triangular(factor, unit, upper=True)
    return inverse


def eigenvalues(upper: torch.Tensor) -> torch.Tensor:
    """Eigenvalues (D,) of the symmetric matrix whose upper triangle is given, in ascending order."""
    if _on_processor(upper):
        return torch.from_numpy(scipy.linalg.eigvalsh(upper.numpy().T, check_finite=False))
    values: torch.Tensor = torch.linalg.eigvalsh(upper, UPLO="U")
    return values


def extreme_eigenvalues(upper: torch.Tensor, inverse: torch.Tensor) -> tuple[float, float]:
    """The least and the largest of the same, to at least four digits, in a third of the time of all.

    The matrix is positive definite; `inverse` is that of its Cholesky factor, upper triangular.
    """
    size = len(upper)
    if size < _WIDE or not _on_processor(upper):
        values = eigenvalues(upper)
        return float(values[0]), float(values[-1])
    whole, triangle = upper.numpy().T, inverse.numpy().T
    start = np.random.default_rng(0).standard_normal(size)  # the same on every run

    def most(product: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
        operator = LinearOperator((size, size), matvec=product, dtype=float)
        return float(eigsh(operator, k=1, v0=start, tol=_CLOSE, return_eigenvectors=False)[0])

    of_inverse = most(lambda vector: blas.dtrmv(triangle, blas.dtrmv(triangle, vector, lower=1), lower=1, trans=1))
    return 1 / of_inverse, most(lambda vector: blas.dsymv(1.0, whole, vector, lower=1))


def eigen(upper: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same with eigenvectors (D, D), a column each."""
    if _on_processor(upper):
        values, vectors = scipy.linalg.eigh(upper.numpy().T, driver="evr", check_finite=False)
        return torch.from_numpy(values), torch.from_numpy(vectors)
    found: tuple[torch.Tensor, torch.Tensor] = torch.linalg.eigh(upper, UPLO="U")
    return found


def least_eigen(upper: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The least eigenvalues (count,) of the same in ascending order, in float64, and their eigenvectors (D, count).

    On a processor only these are turned back from the tridiagonal form, which `eigh` does with all of them: two thirds
    of its time.
    """
    if _on_processor(upper):
        size = len(upper)
        reduced, diagonal, beside, factors, _ = lapack.dsytrd(
            upper.numpy().T, lower=1, lwork=int(lapack.dsytrd_lwork(size, lower=1)[0])
        )
        beside = np.append(beside, 0.0)
        room = [int(each) for each in lapack.dstemr_lwork(diagonal, beside, 0, 0.0, 0.0, 1, size)[:2]]
        _, values, vectors, failed = lapack.dstemr(
            diagonal, beside, 0, 0.0, 0.0, 1, size, lwork=room[0], liwork=room[1]
        )
        if not failed:
            vectors = np.asfortranarray(vectors[:, :count])
            reflectors, below = reduced[1:, :-1], vectors[1:]
            room = [int(lapack.dormqr("L", "N", reflectors, factors, below, -1)[1][0])]
            vectors[1:] = lapack.dormqr("L", "N", reflectors, factors, below, room[0])[0]
            return torch.from_numpy(values[:count]), torch.from_numpy(vectors)
    values, vectors = eigen(upper)
    return values[:count], vectors[:, :count]


def _on_processor(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu"
