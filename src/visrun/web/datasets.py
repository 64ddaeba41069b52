"""Looks at datasets for the page, one at a time, each in a process of its own; what was found is remembered."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visrun.web.roots import Roots

REMEMBERED = 16
Key = tuple[str, str | None, str]  # task, folder (None: the demo), layout


@dataclass
class Look:
    """A look at one dataset: how far it is, and what it came to."""

    process: subprocess.Popen[str] | None
    told: dict[str, Any] = field(default_factory=lambda: {"state": "looking", "done": 0, "total": 0})


class Datasets:
    """Answers at once with what is known so far.

    Args:
        roots: What may be read.
        cwd: Where processes run.
    """

    def __init__(self, roots: Roots, cwd: Path) -> None:
        self.roots, self.cwd = roots, cwd
        self._looks: dict[Key, Look] = {}
        self._lock = threading.Lock()

    def look(self, task: str, root: str | None, layout: str, *, again: bool = False) -> dict[str, Any]:
        """What is known of a dataset: ``state`` is looking, done or failed.

        Args:
            root: An absolute path inside the roots, or None for the built-in demo.
            again: Forget what was found before.
        """
        key = (task, root, layout)
        with self._lock:
            known = self._looks.pop(key, None)
            if known is None or (again and known.told["state"] != "looking"):
                self._end_others()
                known = self._begin(key)
            self._looks[key] = known
            for old in list(self._looks)[:-REMEMBERED]:
                del self._looks[old]
            return dict(known.told)

    def close(self) -> None:
        """End whatever still looks."""
        with self._lock:
            self._end_others()

    def _end_others(self) -> None:
        for key, look in list(self._looks.items()):
            if look.told["state"] == "looking" and look.process is not None:
                look.process.kill()
                del self._looks[key]

    def _begin(self, key: Key) -> Look:
        task, root, layout = key
        process = subprocess.Popen(
            [sys.executable, "-m", "visrun.web.survey"],
            cwd=self.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        look = Look(process)
        asked = {"task": task, "root": root, "layout": layout, "roots": [str(folder) for folder in self.roots.folders]}
        threading.Thread(target=_follow, args=(look, process, asked), name="visrun-survey", daemon=True).start()
        return look


def _follow(look: Look, process: subprocess.Popen[str], asked: dict[str, Any]) -> None:
    """Take in what the process says until it ends."""
    assert process.stdin is not None and process.stdout is not None
    with process:
        try:
            json.dump(asked, process.stdin)
            process.stdin.close()
            for line in process.stdout:
                _take(look, json.loads(line))
        except (OSError, ValueError):  # it was ended
            pass
    if look.told["state"] == "looking":
        look.told = {"state": "failed", "lines": ["the look at the dataset ended without a word; is memory short?"]}


def _take(look: Look, told: dict[str, Any]) -> None:
    if "progress" in told:
        done, total = told["progress"]
        look.told = {"state": "looking", "done": done, "total": total}
    elif "result" in told:
        look.told = {"state": "done", **told["result"]}
    else:
        look.told = {"state": "failed", "lines": told["error"]}
