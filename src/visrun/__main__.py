"""The program: ``visrun``, which is ``python -m visrun``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command; Ctrl-C while it is being loaded is no error, either."""
    try:
        from visrun import cli

        return cli.main()
    except KeyboardInterrupt:
        print("visrun: stopped", file=sys.stderr)  # visrun.errors.STOPPED, which may not be there yet
        return 130


if __name__ == "__main__":
    sys.exit(main())
