"""The k-th nearest of many rows: searched in small numbers, compared in large ones."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch

_ROWS = 512
_BLOCK = 16_384
_GROUP = 16
_SPARE = 6
_PAIRS = 64
_SIGMAS = 6
_LARGEST_CODE = 127
_TINY = torch.finfo(torch.float32).tiny


class Nearest:
    """Rows to be near to.

    The search is one matrix product per block, in 8-bit integers where a processor multiplies these fastest, else in
    single precision. What it finds is known up to its rounding. Rows that may be the k-th nearest within that are
    compared in float64, difference by difference, so that even the distance to a near copy keeps its digits. Where too
    many may be, what was searched in integers is searched again in single precision, and at last all are compared in
    float64. So the result does not depend on how was searched. In single precision
    that is certain. The limit of integers is six standard deviations of their rounding, which one pair in a billion
    exceeds at most, and it is checked on every pair that is compared.

    Holds the rows as they are, and a code of each: a quarter more, or as much again in single precision; both where
    integers did not suffice for some.
    """

    def __init__(
        self, rows: torch.Tensor, lengths: torch.Tensor | None = None, *, integers: bool | None = None
    ) -> None:
        """Hold the rows (n, D), at least one; with `lengths` (n,), float64, each divided by its own."""
        self.rows = rows
        self.lengths = lengths
        self.integers = _multiplies_integers(rows.device) if integers is None else integers
        parts = [slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)]
        self.centre = rows.new_zeros(rows.shape[1])
        total = self.centre.clone()
        for part in parts:
            total += self._held(part).sum(dim=0)
        self.centre = total / len(rows)
        lengths_held, largest = (
            torch.cat(each) for each in zip(*(_sizes(self._held(part)) for part in parts), strict=True)
        )
        halves = lengths_held.square() / 2
        # One scale for all, so that a row's products are compared as they are.
        self.scale = _scale(largest.max())
        self.rounding, self.longest = 0.0, float(lengths_held.max())
        self.blocks = [self._block(part, halves) for part in torch.split(halves.argsort(), _BLOCK)]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def squared_distance(self, others: torch.Tensor, k: int, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Squared Euclidean distance to the k-th nearest row.

        Args:
            others: (N, D).
            k: 1 to the number of rows.
            lengths: (N,) float64, by which they are divided.

        Returns:
            (N,) float64, at least 0.
        """
        parts = range(0, len(others), _ROWS)
        found = [self._of(others[i : i + _ROWS], k, None if lengths is None else lengths[i : i + _ROWS]) for i in parts]
        return torch.cat(found) if found else others.new_zeros(0, dtype=torch.float64)

    def _of(self, others: torch.Tensor, k: int, lengths: torch.Tensor | None) -> torch.Tensor:
        rows = _over(others, lengths) - self.centre
        size, largest = _sizes(rows)
        scale = _scale(largest)
        codes, rounding = self._code(rows, scale, size)
        factor = (scale * self.scale).float() if self.integers else torch.ones_like(size)
        near, which, limit = self._search(codes, factor[:, None], min(2 * k + _SPARE, len(self)))  # the nearest first
        unsure = torch.hypot(rounding * self.longest, self.rounding * size)
        if self.integers:  # of each product of two numbers; these are as good as independent
            unsure = unsure / self.rows.shape[1] ** 0.5
        unsure = 2 * _SIGMAS * unsure[:, None]  # of a difference of two
        kth = near[:, k - 1 : k]
        nearer = near - kth
        exact = near.new_full(near.shape, torch.inf, dtype=torch.float64)
        exact[nearer > unsure] = -1  # for sure
        row, place = (nearer.abs() <= unsure).nonzero().unbind(1)
        column = which[row, place]
        pairs = zip(torch.split(row, _PAIRS), torch.split(column, _PAIRS), strict=True)
        squares = [self._compared(others, lengths, *pair) for pair in pairs]
        exact[row, place] = torch.cat(squares)
        found = exact.kthvalue(k, dim=1).values
        lost = torch.zeros(len(others), dtype=torch.bool, device=others.device)
        told = 2 * (size.square()[row] / 2 - near[row, place]).double()
        lost[row[(told - exact[row, place]).abs() > unsure[row, 0]]] = True
        if near.shape[1] < len(self):
            lost |= (torch.maximum(near[:, -1:], limit) - kth >= -unsure)[:, 0]
        if bool(lost.any()):
            again = self._finer._of if self.integers else self._among_all
            found[lost] = again(others[lost], k, None if lengths is None else lengths[lost])
        return found

    @cached_property
    def _finer(self) -> Nearest:
        return Nearest(self.rows, self.lengths, integers=False)

    def _held(self, which: torch.Tensor | slice) -> torch.Tensor:
        """Rows that are held, off their centre."""
        return _over(self.rows[which], None if self.lengths is None else self.lengths[which]) - self.centre

    def _code(self, rows: torch.Tensor, scale: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows (n, D) as they are searched, and the length (n,) of what that leaves out."""
        if not self.integers:
            return rows.float(), 4 * torch.finfo(torch.float32).eps * size
        scale = scale.unsqueeze(-1)
        whole = (rows / scale).round_()
        codes = whole.to(torch.int8)
        return codes, torch.linalg.vector_norm(whole.mul_(scale).sub_(rows), dim=1).float()

    def _block(self, which: torch.Tensor, halves: torch.Tensor) -> _Block:
        """Rows in the order of their lengths, as they are searched: groups have rows of nearly the same length."""
        groups = -(-len(which) // _GROUP)
        filled = which.new_zeros(groups * _GROUP)
        filled[: len(which)] = which
        sizes = halves.new_full((len(filled),), torch.inf)  # what fills the last group is infinitely far
        sizes[: len(which)] = halves[which]
        rows, sizes = (each.view(groups, _GROUP).T.flatten() for each in (filled, sizes))
        codes = []
        for part in torch.split(rows, _ROWS):
            code, rounding = self._code(self._held(part), self.scale, (2 * halves[part]).sqrt())
            self.rounding = max(self.rounding, float(rounding.max()))
            codes.append(code)
        return _Block(torch.cat(codes), rows, sizes, sizes.view(_GROUP, groups).amin(dim=0))

    def _search(
        self, codes: torch.Tensor, factor: torch.Tensor, most: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Products minus half the squares, the largest first, of which rows, (N, most), and what no other exceeds.

        The largest ones of a block are in the groups whose largest product and least square would exceed all others'.
        """
        near = factor.new_empty(len(codes), 0)
        which, limit = near.long(), torch.full_like(factor, -torch.inf)
        for block in self.blocks:
            groups = len(block.least)
            inside = groups * torch.arange(_GROUP, device=codes.device)[:, None]
            products = torch._int_mm(codes, block.codes.T) if self.integers else codes @ block.codes.T
            best = products.view(len(codes), _GROUP, groups).amax(dim=1).float().mul_(factor).sub_(block.least)
            best, picked = best.topk(min(most, groups), dim=1, sorted=False)
            if most < groups:
                limit = torch.maximum(limit, best.amin(dim=1, keepdim=True))
            places = (picked[:, None, :] + inside).flatten(1)  # (N, group x most)
            values = products.gather(1, places).float().mul_(factor).sub_(block.halves.take(places))
            values, order = values.topk(min(most, values.shape[1]), dim=1)
            near = torch.cat([near, values], dim=1)
            which = torch.cat([which, block.rows.take(places.gather(1, order))], dim=1)
        if len(self.blocks) > 1:
            near, order = near.topk(most, dim=1)
            which = which.gather(1, order)
        return near, which, limit

    def _compared(
        self, others: torch.Tensor, lengths: torch.Tensor | None, row: torch.Tensor, column: torch.Tensor
    ) -> torch.Tensor:
        apart, other = others.index_select(0, row).double(), self.rows.index_select(0, column).double()
        if lengths is None or self.lengths is None:
            apart.sub_(other)
        else:
            ratio = lengths[row] / self.lengths[column]
            apart.addcmul_(other, ratio[:, None], value=-1).div_(lengths[row, None])
        distances: torch.Tensor = torch.linalg.vector_norm(apart, dim=1)
        return distances.square_()

    def _among_all(self, others: torch.Tensor, k: int, lengths: torch.Tensor | None) -> torch.Tensor:
        """The same in float64 throughout."""
        wide = others.double() if lengths is None else others.double() / lengths[:, None]
        centre = self.centre.double()
        wide = wide - centre
        nearest = wide.new_full((len(wide), 0), torch.inf)
        for start in range(0, len(self), _ROWS * _GROUP):
            block = slice(start, start + _ROWS * _GROUP)
            rows = self.rows[block].double()
            rows = (rows if self.lengths is None else rows / self.lengths[block, None]) - centre
            squares = wide.square().sum(dim=1, keepdim=True) + rows.square().sum(dim=1)
            found = torch.addmm(squares, wide, rows.T, alpha=-2)
            nearest = torch.cat([nearest, found], dim=1)
            nearest = nearest.topk(min(k, nearest.shape[1]), dim=1, largest=False).values
        return nearest.amax(dim=1).clamp_min_(0)


class _Block(NamedTuple):
    """Rows as they are searched, in groups; the first of each group first, then the second of each.

    Attributes:
        codes: (n, D), integers or in single precision.
        rows: (n,) which they are.
        halves: (n,) half their squares.
        least: (groups,) the least of these.
    """

    codes: torch.Tensor
    rows: torch.Tensor
    halves: torch.Tensor
    least: torch.Tensor


def _multiplies_integers(device: torch.device) -> bool:
    """Whether 8-bit integers are multiplied several times as fast as floats."""
    return (
        device.type == "cpu"
        and hasattr(torch, "_int_mm")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    )


def _over(rows: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    return rows if lengths is None else rows / lengths[:, None].to(rows.dtype)


def _sizes(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lengths of rows (n, D) in single precision, and their largest magnitudes, both (n,)."""
    return torch.linalg.vector_norm(rows, dim=1).float(), rows.abs().amax(dim=1)


def _scale(largest: torch.Tensor) -> torch.Tensor:
    """What whole numbers up to 127 are multiplied by."""
    return (largest / _LARGEST_CODE).clamp_min(_TINY)
