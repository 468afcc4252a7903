"""Products and eigenvectors are NumPy's, by the libraries of a processor and by what other devices do."""

import numpy as np
import pytest
import torch

from scaling_ood.detectors import products

SIZES = [1, 2, 7, 300]


@pytest.fixture(params=[True, False], ids=["processor", "other devices"], autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(products, "_on_processor", lambda tensor: request.param)


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def symmetric(size, rank=None):
    """Of full rank unless said otherwise; below the diagonal stands what must not be read."""
    rows = normal(rank or 2 * size, size)
    whole = rows.T @ rows
    return whole.numpy(), whole.triu() + torch.full_like(whole, 7).tril(-1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("single", "error"), [(False, 1e-12), (True, 1e-6)])
@pytest.mark.parametrize("held", [1, 30, 4096])
def test_outer_products_of_several_chunks_add_up(size, single, error, held, monkeypatch):
    monkeypatch.setattr(products, "_ROWS", held)
    monkeypatch.setattr(products, "_WIDE", 2)
    sums, rows = products.OuterProducts(), normal(60, size)
    for chunk in torch.split(rows, 17):
        sums.add(chunk, single=single)
    expected = (rows.T @ rows).triu()
    for _ in range(2):
        assert (sums.total().triu() - expected).abs().max() < error * expected.diagonal().mean()
    sums.add(rows, single=single)  # goes on
    assert (sums.total().triu() / 2 - expected).abs().max() < error * expected.diagonal().mean()
    assert sums.stands_out(0.01 * sums.total().diagonal().mean())
    assert sums.stands_out(0.0) is (size < 2 or not single)


def test_single_precision_changes_eigenvalues_little():
    rows = 10 + normal(9000, 300) * torch.logspace(0, -2, 300)  # far from 0, some hardly vary
    sums = products.OuterProducts()
    for chunk in torch.split(rows, 1000):
        sums.add(chunk, single=True)
    apart = (products.eigenvalues(sums.total()) - torch.linalg.eigvalsh(rows.T @ rows)).abs().max()
    assert 0 < apart < 3e-5 * sums.total().diagonal().mean()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-4), (torch.float64, 1e-12)])
def test_products(size, dtype, rtol):
    rows, upper, other = (
        normal(33, size).to(dtype),
        normal(size, size, seed=1).triu().to(dtype),
        normal(9, size).to(dtype),
    )
    expected = rows.double() @ upper.double()
    for found in (products.times_upper(rows, upper), products.times(rows, upper)):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(products.times(rows, other.T), rows.double() @ other.T.double(), rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("size", "count"), [(2, 1), (7, 2), (7, 5), (300, 150), (300, 299)])
def test_a_trapezoid_spans_the_same_space(size, count):
    basis, rows = torch.linalg.qr(normal(size, count))[0], normal(33, size, seed=1)
    found = products.trapezoid(basis)
    np.testing.assert_allclose(found @ found.T, basis @ basis.T, atol=1e-12)
    assert torch.equal(found[-count:], found[-count:].triu())
    np.testing.assert_allclose(products.times_trapezoid(rows, found), rows @ found, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_the_inverse_of_a_triangle(size):
    upper = normal(size, size).triu() + size * torch.eye(size, dtype=torch.float64)
    inverse = products.inverse_of_upper(upper)
    np.testing.assert_allclose(inverse @ upper, np.eye(size), atol=1e-12)
    assert torch.equal(inverse, inverse.triu())


@pytest.mark.parametrize("size", SIZES)
def test_eigenvectors_of_the_upper_triangle(size):
    whole, upper = symmetric(size)
    expected = np.linalg.eigvalsh(whole)
    np.testing.assert_allclose(products.eigenvalues(upper), expected, rtol=1e-9, atol=1e-12 * expected[-1])
    values, vectors = products.eigen(upper)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12 * expected[-1])
    np.testing.assert_allclose(vectors * values @ vectors.T, whole, atol=1e-11 * expected[-1])


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize(("size", "count"), [(2, 1), (7, 4), (300, 1), (300, 150), (300, 300)])
def test_the_least_eigenvectors_span_what_all_of_them_do(size, count, rank):
    whole, upper = symmetric(size, rank)
    values, vectors = products.least_eigen(upper, count)
    expected = np.linalg.eigvalsh(whole)
    np.testing.assert_allclose(values, expected[:count], rtol=1e-9, atol=1e-12 * expected[-1])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(count), atol=1e-11)
    np.testing.assert_allclose(whole @ vectors.numpy(), vectors * values, atol=1e-11 * expected[-1])


@pytest.mark.parametrize("size", SIZES)
def test_the_extreme_eigenvalues(size):
    whole, upper = symmetric(size)
    inverse = products.inverse_of_upper(torch.linalg.cholesky(torch.from_numpy(whole), upper=True))
    expected = np.linalg.eigvalsh(whole)[[0, -1]]
    np.testing.assert_allclose(products.extreme_eigenvalues(upper, inverse), expected, rtol=1e-4)


def test_extreme_eigenvalues_that_are_all_the_same():
    unit = torch.eye(300, dtype=torch.float64)
    assert products.extreme_eigenvalues(4 * unit, unit / 2) == pytest.approx((4, 4))
