"""What a tracker has to write, one thing at a time: kinds, their words for people, and which goes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

KINDS = {
    "params": ("the parameters", "the parameters"),
    "epoch": ("the metrics of one epoch", "the metrics of {} epochs"),
    "values": ("some values", "some values"),
    "summary": ("the final values", "the final values"),
    "file": ("one file", "{} files"),
    "data": ("what data it reads", "what data it reads"),
    "tags": ("some tags", "some tags"),
    "model": ("the model", "the model"),
    "run": ("the end of another run", "the ends of {} other runs"),
    "status": ("the final status", "the final status"),
}
RANKS = {"status": 1, "file": 2, "model": 3, "": 4}  # the order of what waits; all else goes first


class Job(NamedTuple):
    """One thing to write: its rank, its number among all, what it is (a key of KINDS, "" for the end), and how.

    ``since`` is when it was first tried in vain, 0 before.
    """

    rank: int
    number: int
    kind: str
    run: Callable[[], None]
    since: float = 0.0
