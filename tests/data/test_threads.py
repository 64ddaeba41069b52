"""Work that threads do while its results come in order, in threads of the tests' own making."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from visrun.data.threads import in_order


def test_results_come_in_order_and_few_jobs_are_ahead() -> None:
    made = list[int]()

    def jobs() -> Iterator[Callable[[], int]]:
        for i in range(40):
            made.append(i)
            yield lambda i=i: time.sleep(0.002 * (i % 3)) or i

    for count, i in enumerate(in_order(jobs(), threads=3)):
        assert i == count
        assert len(made) <= count + 2 * 3 + 1


def test_two_jobs_are_done_at_once() -> None:
    meeting = threading.Barrier(2, timeout=20)
    assert sorted(in_order([meeting.wait, meeting.wait], threads=2)) == [0, 1]


def test_an_error_comes_in_its_turn_and_what_has_begun_is_ended() -> None:
    ended = list[int]()

    def job(i: int) -> int:
        if i == 2:
            raise OSError("full")
        time.sleep(0.05)
        ended.append(i)
        return i

    seen = list[int]()
    with pytest.raises(OSError, match="full"):
        for i in in_order([lambda i=i: job(i) for i in range(50)], threads=2):
            seen.append(i)
    assert seen == [0, 1]
    assert len(ended) < 10
    alive = [thread for thread in threading.enumerate() if thread.name.startswith("visrun-data")]
    assert not alive


def test_what_was_made_before_no_more_could_be_comes_first() -> None:
    def jobs() -> Iterator[Callable[[], int]]:
        for i in range(3):
            yield lambda i=i: time.sleep(0.05) or i
        raise OSError("gone")

    seen = list[int]()
    with pytest.raises(OSError, match="gone"):
        for i in in_order(jobs(), threads=4):
            seen.append(i)
    assert seen == [0, 1, 2]


def test_closing_it_drops_what_has_not_begun() -> None:
    begun = list[int]()
    results = in_order([lambda i=i: time.sleep(0.02) or begun.append(i) or i for i in range(50)], threads=2)
    assert next(results) == 0
    results.close()
    count = len(begun)
    time.sleep(0.1)
    assert len(begun) == count < 10
