"""What the benchmarks share: a JSON line a measurement, a run's parts, its loop under a stopwatch, the command."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visrun.record import environment


def report(name: str, value: float, unit: str, *, ratio: float | None = None, **more: Any) -> None:
    """Print one measurement as a JSON line; ``ratio`` is to what ``more`` names as ``over``."""
    ratio = None if ratio is None else round(ratio, 4)
    line = {"name": name, "value": round(value, 4), "unit": unit, "ratio": ratio, **more, "machine": machine()}
    print(json.dumps(line), flush=True)


def machine() -> dict[str, Any]:
    """What a figure depends on beside the code; ``load`` is the mean number of busy cores over the last minute."""
    found = environment.versions()
    git = environment.git_state(Path(__file__).parent)
    facts: dict[str, Any] = {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        **{name: found[name] for name in ("python", "torch", "visrun") if name in found},
        "git": git["commit"] if git else None,
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["threads"] = torch.get_num_threads()
        facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_initialized() else None
    return facts


def cpu_name() -> str:
    """As the kernel calls it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def parts_of(overrides: Sequence[str]) -> Any:
    """A run's :class:`visrun.parts.Parts`; what they say while they are built goes to stderr."""
    from visrun import feeding, parts
    from visrun.config.compose import resolve
    from visrun.console import Screen

    resolved, screen = resolve(overrides), Screen(stderr=True)
    return parts.build(resolved, feeding.read_dataset(resolved.settings, screen), screen)


class Stopwatch:
    """A recorder for :func:`visrun.training.fit` that notes when each epoch ended, and nothing else."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def step(self, *_: object) -> None: ...

    def epoch(self, *_: object, **__: object) -> None:
        self.ended.append(time.perf_counter())

    def save(self, *_: object, **__: object) -> None: ...


def fit(made: Any, progress: Any, epochs: int) -> float:
    """Train for ``epochs`` more with visrun's own loop, without evaluation and checkpoints; the seconds they took.

    The loop reads the last loss after each epoch, so the device has finished when the stopwatch stops.
    """
    from visrun import training
    from visrun.signals import Stop

    watch = Stopwatch()
    began = time.perf_counter()
    training.fit(
        made.entry,
        made.step,
        made.scheduler,
        made.loaders["train"],
        dict,
        progress=progress,
        limits=training.Limits(progress.epoch + epochs),
        recorder=watch,
        stop=Stop(),
        seed=0,
    )
    return watch.ended[-1] - began


def speeds(made: Any, epochs: int) -> dict[str, float]:
    """Images a second: ``loop``, of visrun's own, over ``epochs`` after the first; ``called``, of its step on one batch
    again and again; and ``replayed``, of the CUDA graph alone, where the step was captured."""
    from visrun.training import Progress

    loader, step, progress = made.loaders["train"], made.step, Progress()
    fit(made, progress, 1)
    times = len(loader) * epochs
    images = times * loader.batch_size
    found = {"loop": images / fit(made, progress, epochs)}
    batch = next(iter(loader.epoch(0)))
    found["called"] = images / seconds(lambda: step(batch), times, step.ledger.peek)
    if step.graph is not None:
        found["replayed"] = images / seconds(step.graph.replay, times, step.ledger.peek)
    return found


def seconds(work: Callable[[], object], times: int, finish: Callable[[], object]) -> float:
    """What ``times`` calls of ``work`` take, until ``finish`` returns."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    finish()
    return time.perf_counter() - began


def command(*words: str, cwd: Path, fresh: bool = False, may_fail: bool = False) -> tuple[float, str]:
    """Seconds and stdout of ``visrun WORDS``, typed here, as a whole process in ``cwd``; ``fresh`` gives it an empty
    cache of its own.

    ``may_fail``: an exit code of 1, a sweep with failed trials, is no error.

    Raises:
        SystemExit: The command failed; what it printed is in the message.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "visrun", *map(absolute, words)],
        cwd=cwd,
        env=environ({"XDG_CACHE_HOME": str(cwd / "cache")} if fresh else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode > int(may_fail):
        raise SystemExit(f"visrun {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return took, done.stdout


def absolute(word: str) -> str:
    """``data.root=PATH`` for a process that starts in another folder."""
    key, _, value = word.partition("=")
    return f"{key}={Path(value).expanduser().absolute()}" if key == "data.root" else word


def environ(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for one that starts in another folder: a relative PYTHONPATH made absolute."""
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}), **changes}
