"""The command that starts another Python."""

from __future__ import annotations

import sys


def python(*words: str) -> list[str]:
    """``python WORDS``, which does not look for modules in the current folder, as ``visrun`` does not when it is typed.

    With ``-m`` or ``-c`` it would, before all others: a user's own statistics.py there would stand in for Python's.
    """
    return [sys.executable, "-P", *words]
