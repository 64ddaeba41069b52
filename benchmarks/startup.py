"""How long the commands that only look at a configuration take: whole processes, median.

python benchmarks/startup.py [--repeats N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common import command, environ, report


def main() -> None:
    parser = argparse.ArgumentParser(description="start-up times")
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pieces = {
            "python": lambda: python("pass", folder),
            "import visrun": lambda: python("import visrun", folder),
            "visrun explain": lambda: command("explain", cwd=folder)[0],
            "visrun --cfg job": lambda: command("--cfg", "job", cwd=folder)[0],
        }
        for title, piece in pieces.items():
            piece()  # compiles the modules and fills the file cache
            times = [piece() for _ in range(repeats)]
            spread = {"fastest": round(min(times), 4), "slowest": round(max(times), 4)}
            report(f"startup/{title}", median(times), "s", repeats=repeats, **spread)


def python(code: str, folder: Path) -> float:
    """Seconds of a Python process that runs ``code``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environ({}), check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
