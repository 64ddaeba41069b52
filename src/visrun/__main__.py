"""``python -m visrun`` is the command ``visrun``."""

from __future__ import annotations

import sys

from visrun.cli import main

if __name__ == "__main__":
    sys.exit(main())
