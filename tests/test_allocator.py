"""What the process keeps of the memory that it frees, by the kernel's count of its pages."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest
import torch

from visrun import allocator
from visrun.allocator import OWN_WORDS, give_back, kept_memory, uncollected

PAGE = 4096
LARGE = 96 << 20  # bytes: such a block is the kernel's again once it is freed

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for word in OWN_WORDS:
        monkeypatch.delenv(word, raising=False)


def faults(times: int) -> int:
    """Pages that the kernel clears while a large block is made, filled and freed so often."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.zeros(LARGE, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_block_that_was_freed_is_used_again_as_it_is():
    with kept_memory():
        faults(1)
        assert faults(5) < LARGE // PAGE / 10


def test_afterwards_what_is_freed_goes_back():
    with kept_memory():
        faults(1)
        kept = resident()
    block = torch.ones(LARGE, dtype=torch.uint8)
    del block
    give_back()
    assert resident() < kept - LARGE / 2


def test_small_blocks_go_back_when_asked_for():
    with kept_memory():
        blocks = [torch.ones(1 << 18, dtype=torch.uint8) for _ in range(LARGE >> 18)]
        last = blocks[-1]  # at the end of the heap, which alone would never shrink
        full = resident()
        del blocks
        gc.collect()
        give_back()
        assert resident() < full - LARGE / 2
        assert last.sum() == 1 << 18


@pytest.mark.parametrize("word", OWN_WORDS)
def test_what_the_user_tells_glibc_holds(word, monkeypatch):
    told = []
    monkeypatch.setattr(allocator, "_set", lambda *words: told.append(words))
    with kept_memory():
        pass
    assert len(told) == 2
    monkeypatch.setenv(word, "1")
    with kept_memory():
        pass
    assert len(told) == 2


def test_an_error_leaves_it_as_it_was(monkeypatch):
    told = []
    monkeypatch.setattr(allocator, "_set", lambda libc, *words: told.append(words))
    with pytest.raises(RuntimeError), kept_memory():
        raise RuntimeError
    assert told[-1] == allocator.AFTERWARDS


def test_another_c_library_keeps_its_ways(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with kept_memory():
        give_back()


def test_no_search_for_garbage_in_there_and_as_before_afterwards():
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), uncollected():
        before = gc.get_stats()[0]["collections"]
        _ = [{} for _ in range(100_000)]  # a search begins with each 700 objects, or 2,000
        assert gc.get_stats()[0]["collections"] == before
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()  # the outer one ends it
        _ = 1 / 0
    assert gc.isenabled()
