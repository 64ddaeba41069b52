"""The few patches that stand for all: greedy k-center selection, as PatchCore has it (arXiv 2106.08265, section 3.2).

Each step takes the patch that lies farthest from all those taken. Distances are measured after a random projection,
which keeps them nearly (Johnson and Lindenstrauss 1984).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

CANDIDATES = 50_000  # patches that are chosen among; of more as many are drawn by chance
PROJECTED = 64  # numbers in which distances are measured


class Reservoir:
    """Rows drawn evenly from any number of rows: those with the smallest of random keys.

    Args:
        most: How many are kept.
        generator: Gives the keys.
    """

    def __init__(self, most: int, generator: torch.Generator) -> None:
        self.most, self.generator, self.seen = most, generator, 0
        self.rows: list[Tensor] = []
        self.keys: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Add rows (n, D)."""
        self.seen += len(rows)
        self.rows.append(rows)
        self.keys.append(torch.rand(len(rows), generator=self.generator, dtype=torch.float64).to(rows.device))
        if sum(map(len, self.rows)) > 2 * self.most:
            self.rows, self.keys = ([part] for part in self._kept())

    def kept(self) -> Tensor:
        """(min(seen, most), D), in the order in which they came."""
        return self._kept()[0]

    def _kept(self) -> tuple[Tensor, Tensor]:
        rows, keys = torch.cat(self.rows), torch.cat(self.keys)
        if len(rows) <= self.most:
            return rows, keys
        order = keys.topk(self.most, largest=False).indices.sort().values
        return rows[order], keys[order]


def drawn(batches: Iterable[Tensor], *, generator: torch.Generator) -> tuple[Tensor, int]:
    """At most CANDIDATES of the rows of ``batches`` (n, D) each, evenly, and how many there were."""
    found = Reservoir(CANDIDATES, generator)
    for rows in batches:
        found.add(rows)
    return found.kept(), found.seen


def coreset(rows: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """(count,) int64: the rows of (N, D) that are taken, the first by chance; all where ``count`` is N or more."""
    if count >= len(rows):
        return torch.arange(len(rows), device=rows.device)
    size = min(PROJECTED, rows.shape[1])
    matrix = torch.randn(rows.shape[1], size, generator=generator).to(rows.device) / size**0.5
    points = rows.float() @ matrix
    squares = points.square().sum(1)
    taken = torch.empty(count, dtype=torch.int64, device=rows.device)
    taken[0] = int(torch.randint(len(rows), (), generator=generator))
    nearest = torch.full_like(squares, torch.inf)
    for i in range(1, count):  # a slice stays on the device, where a single index would be read back
        last = taken[i - 1 : i]
        distance = squares + squares[last] - 2 * (points @ points[last].T).squeeze(1)
        nearest = torch.minimum(nearest, distance.clamp_min_(0))
        nearest.index_fill_(0, last, -1.0)  # rounding must not let it come again
        taken[i] = nearest.argmax()
    return taken
