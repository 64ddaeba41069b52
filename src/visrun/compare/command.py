"""``visrun compare RUN...``: the tables on the terminal first, those of repeats before all, then the page with the
pictures."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from visrun.arguments import VERBS, options
from visrun.compare.find import find
from visrun.compare.gallery import Gallery
from visrun.compare.page import page
from visrun.compare.pairs import as_text as pairs_as_text
from visrun.compare.pairs import pairings
from visrun.compare.repeats import repeats
from visrun.compare.runs import Run
from visrun.compare.tables import as_text
from visrun.config import settings
from visrun.config.fields import show, validate
from visrun.console import Screen
from visrun.errors import ConfigError, UserError
from visrun.files import write_named, writing
from visrun.folders import expanded

DEFAULTS = {"out": "compare.html", "pictures": "8", "device": "auto"}
MOST_PICTURES = 100


def main(words: Sequence[str]) -> int:
    """``visrun compare RUN_OR_TRIAL... [out=FILE.html] [pictures=8] [device=auto]``.

    Args:
        words: Folders of runs, trials or sweeps, and options; ``pictures=0`` leaves the predictions out.

    Raises:
        UserError: What is named cannot be compared, or the page cannot be written.
    """
    given, names = options("compare", words, tuple(DEFAULTS))
    asked = DEFAULTS | given
    if not names:
        raise UserError(f"usage: {VERBS['compare'].usage}")
    count = _count(asked["pictures"])
    _, wrong = validate(settings.Run, {"device": asked["device"]})
    if wrong:
        raise ConfigError(list(wrong.values()))
    folders, width = [Path(name) for name in names], shutil.get_terminal_size((120, 24)).columns
    runs, remarks = find(folders)
    beside = pairings(repeats(folders, runs))
    for pairing in beside:
        print(pairs_as_text(pairing, width=width), end="\n\n")
    print(as_text(runs, width=width))
    for line in remarks:
        print(line)
    sys.stdout.flush()
    out = expanded(asked["out"])
    _writable(out)
    gallery = _predicted(runs, count, asked["device"])
    for reason in gallery.reasons if count else ():
        print(f"pictures: left out: {reason}")
    html = page(runs, gallery, pairings=beside, remarks=remarks)
    write_named(out, html.encode(errors="backslashreplace"))  # names may be no text
    print(f"page: {out.absolute()}")
    return 0


def _count(value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or int(value) > MOST_PICTURES:
        raise UserError(f"pictures={show(value)}: must be an integer from 0 to {MOST_PICTURES}")
    return int(value)


def _writable(out: Path) -> None:
    """Know before the predictions that their page has a place."""
    if out.is_dir():
        raise UserError(f"out={out}: is a folder; name the file, such as out={out / 'compare.html'}")
    with writing(out, another="file"):
        out.parent.mkdir(parents=True, exist_ok=True)


def _predicted(runs: Sequence[Run], count: int, device: str) -> Gallery:
    if not count:
        return Gallery(reasons=("no pictures were asked for",))
    from visrun.compare import pictures

    return pictures.gallery(runs, count=count, device=device, screen=Screen(stderr=True))
