"""Looks at datasets for the page, each in a process of its own; what was found is remembered.

The newest look goes on, and any other only while a page asks for it: two pages may look at two datasets, and a page
that has turned to another dataset leaves nothing running.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from visrun.interpreter import python
from visrun.web.roots import Roots

REMEMBERED = 16
WAITED_FOR = 2.0  # seconds since a page asked; it asks 4 times a second, or once where it is hidden
Selection = tuple[tuple[str, Any], ...]  # the `choice` of `visrun.web.survey.describe`
Key = tuple[str, str | None, str, tuple[str, ...], Selection]  # task, folder (None: the demo), layout, plugins


@dataclass
class Inspection:
    """A look at one dataset: how far it is, what it came to, and when a page last asked for it."""

    process: subprocess.Popen[str]
    told: dict[str, Any] = field(default_factory=lambda: {"state": "looking", "done": 0, "total": 0})
    asked: float = 0.0


class Datasets:
    """Answers at once with what is known so far.

    Args:
        roots: What may be read.
        cwd: Where processes run.
    """

    def __init__(self, roots: Roots, cwd: Path) -> None:
        self.roots, self.cwd = roots, cwd
        self._looks: dict[Key, Inspection] = {}
        self._lock = threading.Lock()

    def look(
        self,
        task: str,
        root: str | None,
        layout: str,
        *,
        plugins: tuple[str, ...] = (),
        choice: Selection = (),
        again: bool = False,
    ) -> dict[str, Any]:
        """What is known of a dataset: ``state`` is looking, done, failed or crashed.

        Args:
            root: An absolute path inside the roots, or None for the built-in demo.
            plugins: Modules that are imported first, since they may bring the task or its reader.
            choice: Which images, splits and classes a run would have, and whether images are decoded.
            again: Forget what was found before.
        """
        key = (task, root, layout, plugins, choice)
        with self._lock:
            known = self._looks.pop(key, None)
            if known is None or (again and known.told["state"] != "looking"):
                known = self._begin(key)
                self._end_unasked_soon()
            known.asked = monotonic()
            self._looks[key] = known
            self._end_unasked()
            for old in list(self._looks)[:-REMEMBERED]:
                del self._looks[old]
            return dict(known.told)

    def close(self) -> None:
        """End whatever still looks."""
        with self._lock:
            for key in list(self._looks):
                self._end(key)

    def _end_unasked_soon(self) -> None:
        """A page that has turned to a dataset which is looked through in a moment does not ask again."""

        def end() -> None:
            with self._lock:
                self._end_unasked()

        timer = threading.Timer(WAITED_FOR, end)
        timer.daemon = True
        timer.start()

    def _end_unasked(self) -> None:
        for key in list(self._looks)[:-1]:  # the one asked for last stands last
            if monotonic() - self._looks[key].asked >= WAITED_FOR:
                self._end(key)

    def _end(self, key: Key) -> None:
        look = self._looks[key]
        if look.told["state"] == "looking":
            look.process.kill()
            del self._looks[key]

    def _begin(self, key: Key) -> Inspection:
        task, root, layout, plugins, choice = key
        process = subprocess.Popen(
            python("-m", "visrun.web.survey"),
            cwd=self.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        look = Inspection(process)
        asked = {
            "task": task,
            "root": root,
            "layout": layout,
            "plugins": plugins,
            "choice": dict(choice),
            "roots": [str(folder) for folder in self.roots.folders],
        }
        threading.Thread(target=_follow, args=(look, asked), name="visrun-survey", daemon=True).start()
        return look


def _follow(look: Inspection, asked: dict[str, Any]) -> None:
    """Take in what the process says until it ends."""
    process = look.process
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
        killed = process.returncode == -signal.SIGKILL
        _take(look, {"crash": "it was killed; is memory short?" if killed else f"exit code {process.returncode}"})


def _take(look: Inspection, told: dict[str, Any]) -> None:
    if "progress" in told:
        done, total = told["progress"]
        look.told = {"state": "looking", "done": done, "total": total}
    elif "result" in told:
        look.told = {"state": "done", **told["result"]}
    elif "error" in told:
        look.told = {"state": "failed", "lines": told["error"]}
    else:  # which says nothing of the dataset
        look.told = {"state": "crashed", "lines": [f"the look at the dataset failed: {told['crash']}"]}
