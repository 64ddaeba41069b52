"""A run as events: its rows from any byte on, its state when it changes, its end."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from visrun.record.run_folder import this_process
from visrun.run_files import LOCK, METRICS
from visrun.web.resources import Resources, gpu_lines
from visrun.web.runs import detail
from visrun.web.stream import Rows, event, events

from .test_runs import row, write


def told(text: str) -> tuple[str, Any, str | None]:
    """Name, content and id of an event."""
    parts = dict(line.split(": ", 1) for line in text.strip().splitlines())
    return parts["event"], json.loads(parts["data"]), parts.get("id")


def test_rows_are_read_once_and_half_a_line_waits(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    rows = Rows(file, 0)
    assert rows.more() == (True, [])
    file.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert rows.more() == (False, [{"epoch": 1}, {"epoch": 2}])
    assert rows.more() == (False, [])
    with file.open("a") as stream:
        stream.write('ch": 3}\nbroken\n[1]\n{"epoch": "x"}\n')
    assert rows.more() == (False, [{"epoch": 3}])


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    file.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    assert Rows(file, 13).more() == (False, [{"epoch": 2}])
    assert Rows(file, 0).more() == (True, [{"epoch": 1}, {"epoch": 2}])


def test_a_resumed_run_that_dropped_epochs_is_read_afresh(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    file.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    rows = Rows(file, 0)
    rows.more()
    file.write_text('{"epoch": 1}\n')
    assert rows.more() == (True, [{"epoch": 1}])


@pytest.mark.parametrize("before", ['{"epoch": 1}\n{"epoch": 2}\n', '{"epoch": 1}\n'])
def test_epochs_that_were_written_again_are_told_afresh(before: str, tmp_path: Path) -> None:
    file = tmp_path / METRICS
    file.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    rows = Rows(file, 0)
    rows.more()
    file.write_text(f'{before}{{"epoch": 2, "loss": 0.5}}\n')
    assert rows.more() == (True, [{"epoch": 1}, {"epoch": 2, "loss": 0.5}])
    position = rows.position
    file.write_text(file.read_text() + '{"epoch": 3}\n')
    assert Rows(file, position).more() == rows.more() == (False, [{"epoch": 3}])


def test_an_event_is_lines() -> None:
    assert event("rows", {"a": "b\n"}, 7) == 'id: 7\nevent: rows\ndata: {"a": "b\\n"}\n\n'


def collect(folder: Path, *, between: Any = None, position: int = 0) -> list[tuple[str, Any, str | None]]:
    """All events of a run; ``between`` is called after each."""

    async def all_of_them() -> list[str]:
        found = []
        stream = events(
            folder, position=position, detail=lambda: detail(folder), resources=Resources(), closing=lambda: False
        )
        async for text in stream:
            found.append(text)
            if between:
                between(text)
        return found

    return [told(text) for text in asyncio.run(all_of_them())]


def test_a_run_that_has_ended_is_told_whole_and_the_stream_ends(tmp_path: Path) -> None:
    write(tmp_path, result={"status": "finished"}, rows=[row(1, 0.5), row(2, 0.6)])
    found = collect(tmp_path)
    assert [name for name, *_ in found] == ["rows", "run", "log", "use", "end"]
    _, content, place = found[0]
    assert [line["epoch"] for line in content["rows"]] == [1, 2] and content["afresh"]
    assert int(place or 0) == (tmp_path / METRICS).stat().st_size
    assert collect(tmp_path, position=int(place or 0))[0][0] == "run"


def test_a_run_whose_folder_is_deleted_is_gone_and_has_not_failed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, result={"status": "running"}, lock=this_process())
    found = collect(folder, between=lambda text: shutil.rmtree(folder) if "event: use" in text else None)
    assert [name for name, *_ in found] == ["rows", "run", "log", "use", "gone"]


def test_news_come_as_they_happen_and_only_then(tmp_path: Path) -> None:
    write(tmp_path, result={"status": "running"}, lock=this_process(), status={"state": "training"}, rows=[row(1, 0.5)])
    seen: list[str] = []

    def act(text: str) -> None:
        seen.append(text)
        if len(seen) == 4:
            write(tmp_path, rows=[row(1, 0.5), row(2, 0.75)])
        if '"best": 0.75' in text:
            (tmp_path / LOCK).unlink(missing_ok=True)

    found = collect(tmp_path, between=act)
    batches = [content for name, content, _ in found if name == "rows"]
    assert [[line["epoch"] for line in batch["rows"]] for batch in batches] == [[1], [2]]
    assert [batch["afresh"] for batch in batches] == [True, False]
    states = [content["state"] for name, content, _ in found if name == "run"]
    assert states[0] == "running" and states[-1] == "unfinished" and found[-1][0] == "end"


def test_what_a_process_takes() -> None:
    resources = Resources()
    assert resources.of(os.getpid())["memory"] > 1e6
    assert resources.of(2**22 + 1) == {}


def test_what_nvidia_smi_says() -> None:
    text = "0, 87, 1024, 81559\n1, [N/A], 0, 81559\nbroken\n"
    assert gpu_lines(text) == [
        {"index": "0", "load": 87, "used": 1024, "total": 81559},
        {"index": "1", "load": None, "used": 0, "total": 81559},
    ]


def test_an_nvidia_smi_that_failed_once_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, program = tmp_path / "asked", tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ -e {asked} ] && echo '0, 35, 2048, 81559' || {{ : > {asked}; exit 9; }}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    resources = Resources()
    assert [resources.of(os.getpid())["gpus"] for _ in range(2)] == [[], []]
    monkeypatch.setattr(resources, "_next_look", 0.0)  # half a minute later
    assert [gpu["load"] for gpu in resources.of(os.getpid())["gpus"]] == [35]


def test_a_machine_without_nvidia_smi_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    resources = Resources()
    assert resources.of(os.getpid())["gpus"] == [] and resources._next_look == math.inf
