"""The machine as a process sees it: its slot, its GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.machine import SLOT, gpus, own_slot


def test_the_slot_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SLOT, raising=False)
    assert own_slot() is None
    monkeypatch.setenv(SLOT, "0")
    assert own_slot() == 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("", []), ("0", ["0"]), (" 2, 0", ["2", "0"]), ("-1", []), ("GPU-1,GPU-2,", ["GPU-1", "GPU-2"])],
)
def test_the_gpus_that_the_user_allows(visible: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('echo "GPU 0: A (UUID: GPU-1)"; echo "  MIG 1g.10gb Device 0"; echo "GPU 1: A (UUID: GPU-2)"', ["0", "1"]),
        ("exit 9", []),
        ("true", []),
    ],
)
def test_the_gpus_of_the_machine(
    script: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == expected
    tool.unlink()
    assert gpus() == []
