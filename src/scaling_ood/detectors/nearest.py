"""The k-th nearest of many rows: searched in small numbers, compared in large ones."""

from __future__ import annotations

from functools import cached_property

import torch

_ROWS = 256
_BLOCK = 16_384
_GROUP = 8
_PAIRS = 512
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
        blocks = [slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)]
        self.centre = rows.new_zeros(rows.shape[1])
        total = self.centre.clone()
        for block in blocks:
            total += self._centred(rows, lengths, block).sum(dim=0)
        self.centre = total / len(rows)
        # Groups of equal size; what fills the last one is infinitely far.
        held = len(rows) + -len(rows) % _GROUP
        self.codes = rows.new_zeros(held, rows.shape[1], dtype=torch.int8 if self.integers else torch.float32)
        self.scales = rows.new_ones(held, dtype=torch.float32)
        self.halves = rows.new_full((held,), torch.inf, dtype=torch.float32)
        self.rounding = self.longest = 0.0
        for block in blocks:
            found = _Coded(self._centred(rows, lengths, block), self.integers)
            inside = slice(block.start, block.start + len(found.codes))
            self.codes[inside], self.scales[inside], self.halves[inside] = found.codes, found.scales, found.halves
            self.rounding = max(self.rounding, float(found.rounding.max()))
            self.longest = max(self.longest, float(found.lengths.max()))

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
        own = _Coded(self._centred(others, lengths, slice(None)), self.integers)
        near, which = self._search(own, min(2 * k + _GROUP - 2, len(self)))  # (N, m), the nearest first
        unsure = torch.hypot(own.rounding * self.longest, self.rounding * own.lengths)
        if self.integers:  # of each product of two numbers; these are as good as independent
            unsure = unsure / self.rows.shape[1] ** 0.5
        unsure = 2 * _SIGMAS * unsure[:, None]  # of a difference of two
        nearer = near - near[:, k - 1 : k]
        exact = near.new_full(near.shape, torch.inf, dtype=torch.float64)
        exact[nearer > unsure] = -1  # for sure
        row, place = (nearer.abs() <= unsure).nonzero().unbind(1)
        column = which[row, place]
        pairs = zip(torch.split(row, _PAIRS), torch.split(column, _PAIRS), strict=True)
        squares = [self._compared(others, lengths, *pair) for pair in pairs]
        exact[row, place] = torch.cat(squares)
        found = exact.kthvalue(k, dim=1).values
        lost = torch.zeros(len(others), dtype=torch.bool, device=others.device)
        told = 2 * (own.halves[row] - near[row, place]).double()
        lost[row[(told - exact[row, place]).abs() > unsure[row, 0]]] = True
        if near.shape[1] < len(self):
            lost |= nearer[:, -1] >= -unsure[:, 0]
        if bool(lost.any()):
            again = self._finer._of if self.integers else self._among_all
            found[lost] = again(others[lost], k, None if lengths is None else lengths[lost])
        return found

    @cached_property
    def _finer(self) -> Nearest:
        return Nearest(self.rows, self.lengths, integers=False)

    def _centred(self, rows: torch.Tensor, lengths: torch.Tensor | None, block: slice) -> torch.Tensor:
        scaled = rows[block] if lengths is None else rows[block] / lengths[block, None].to(rows.dtype)
        return scaled - self.centre

    def _search(self, own: _Coded, most: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Products minus half the squares, the largest first, and of which rows: both (N, most)."""
        near = own.halves.new_empty(len(own.codes), 0)
        which = near.long()
        for start in range(0, len(self.codes), _BLOCK):
            block = slice(start, start + _BLOCK)
            product = torch._int_mm if self.integers else torch.mm
            found = product(own.codes, self.codes[block].T).float()
            found = found.mul_(self.scales[block]).mul_(own.scales[:, None]).sub_(self.halves[block])
            values, places = _largest(found, min(most, found.shape[1]))
            near, which = torch.cat([near, values], dim=1), torch.cat([which, places + start], dim=1)
        near, order = near.topk(most, dim=1)
        return near, which.gather(1, order)

    def _compared(
        self, others: torch.Tensor, lengths: torch.Tensor | None, row: torch.Tensor, column: torch.Tensor
    ) -> torch.Tensor:
        one, other = others[row].double(), self.rows[column].double()
        if lengths is not None and self.lengths is not None:
            one, other = one.div_(lengths[row, None]), other.div_(self.lengths[column, None])
        return one.sub_(other).square_().sum(dim=1)

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


def _multiplies_integers(device: torch.device) -> bool:
    """Whether 8-bit integers are multiplied several times as fast as floats."""
    return (
        device.type == "cpu"
        and hasattr(torch, "_int_mm")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    )


class _Coded:
    """Rows (N, D) as they are searched.

    Attributes:
        codes: (N, D), integers or in single precision.
        scales: (N,) what each row's are to be multiplied by.
        rounding: (N,) length of what they leave out.
        lengths: (N,) of the rows.
        halves: (N,) half their squares.
    """

    def __init__(self, rows: torch.Tensor, integers: bool) -> None:
        """Make the codes."""
        self.lengths = torch.linalg.vector_norm(rows, dim=1).float()
        self.halves = self.lengths.square() / 2
        if integers:
            scales = (rows.abs().amax(dim=1, keepdim=True) / _LARGEST_CODE).clamp_min_(_TINY)
            whole = (rows / scales).round_()
            self.codes, self.scales = whole.to(torch.int8), scales[:, 0].float()
            self.rounding = torch.linalg.vector_norm(whole.mul_(scales).sub_(rows), dim=1).float()
        else:
            self.codes, self.scales = rows.float(), torch.ones_like(self.lengths)
            self.rounding = 4 * torch.finfo(torch.float32).eps * self.lengths


def _largest(found: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest of each row and where they are: they are in the groups that have the largest ones."""
    groups = found.shape[1] // _GROUP
    if groups < 2 * most:
        return found.topk(most, dim=1)
    best = found.view(len(found), _GROUP, groups).amax(dim=1).topk(most, dim=1, sorted=False).indices
    inside = torch.arange(_GROUP, device=found.device)[:, None] * groups
    places = (best[:, None, :] + inside).flatten(1)  # (N, group x most)
    values, order = found.gather(1, places).topk(most, dim=1, sorted=False)
    return values, places.gather(1, order)
