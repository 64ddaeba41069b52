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


def drawn(batches: Iterable[Tensor], *, generator: torch.Generator) -> tuple[Tensor, int]:
    """At most CANDIDATES of the rows of ``batches`` (n, D) each, evenly: those with the smallest of random keys, in the
    order in which they came; and how many there were."""
    seen, rows, keys = 0, [], []
    for batch in batches:
        seen += len(batch)
        rows.append(batch)
        keys.append(torch.rand(len(batch), generator=generator, dtype=torch.float64).to(batch.device))
        if sum(map(len, rows)) > 2 * CANDIDATES:
            rows, keys = ([part] for part in _smallest(rows, keys))
    return _smallest(rows, keys)[0], seen


def _smallest(parts: list[Tensor], keys_of: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The rows (n, D) of all ``parts`` with the CANDIDATES smallest keys (n,), and these."""
    rows, keys = torch.cat(parts), torch.cat(keys_of)
    if len(rows) <= CANDIDATES:
        return rows, keys
    order = keys.topk(CANDIDATES, largest=False).indices.sort().values
    return rows[order], keys[order]


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
