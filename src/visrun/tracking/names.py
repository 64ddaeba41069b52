"""What MLflow shows: texts and names within its rules, and the note by which a resumed run is found again."""

from __future__ import annotations

import errno
import getpass
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from visrun.errors import first_line
from visrun.files import read_object, write_atomic
from visrun.tracking.uris import DAMAGED, NO_DATABASE, UNWRITABLE, without_user

RECORD = "mlflow_run.json"  # in the folder of a run or of a sweep: the note of which run it is
AT = "time/at"  # of an epoch's values: when it ended, in seconds since 1970
LONGEST_VALUE = 6000  # characters of a parameter, MLflow's limit
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # of a disk that takes nothing
REMEDIES = {  # what SQLite says of a file, and what to tell of it
    "database disk image is malformed": f"the database is damaged; {DAMAGED}",
    "file is not a database": f"the file is no database; {NO_DATABASE}",
    "attempt to write a readonly database": f"the database is read-only; {UNWRITABLE}",
}
LOST = r"API request to \S+ failed with (?:timeout )?exception"  # of MLflow's line, and what else it may hold:
LOSSES = (
    (r"too many (\d+) error responses", "it answers with error {}"),
    (
        r"certificate verify failed: ((?:self.signed|unable to (?:get|verify))[^(]+) \(",
        "its certificate is not trusted, {}; REQUESTS_CA_BUNDLE names a file of those to trust",
    ),
    (r"certificate verify failed: ([^(]+) \(", "its certificate is not trusted, {}"),
    (r"\[SSL: (\w+)\]", "no TLS with it, {}"),
    (r"exception (Exceeded \d+ redirects|Could not find .*)", "{}"),
    (r"in header value|'latin-1' codec can't encode", "MLFLOW_TRACKING_TOKEN holds what no header takes"),
    ("", "it does not answer"),
)


def one_line(error: BaseException) -> str:
    """The first line of an error's text, not too long; what MLflow and SQLAlchemy wrap in many words in a few."""
    text = str(error)
    if isinstance(error, OSError) and error.errno in FULL and error.filename:
        return f"{error.strerror}: {error.filename2 or error.filename}"  # whole: the path names the disk
    if re.match(LOST, text):
        return next(words.format(*found.groups()) for part, words in LOSSES if (found := re.search(part, text)))
    code = re.search(r"(?:^|error code )(\d{3}) .*\bResponse (?:body|text): ", text)
    if code and code[1] >= "500":  # its page, a server's or a proxy's, says no more
        return f"it answers with error {code[1]}"
    if re.search(r"Response (body|text): '?\s*<[!h]", text, re.IGNORECASE):
        return f"it answers with {f'error {code[1]} and ' if code else ''}an HTML page, which a login or a proxy gives"
    remedy = next((told for part, told in REMEDIES.items() if part in text), None)
    if remedy is not None:
        return remedy
    if wrapped := re.match(r"(?:\(raised as a result of .*\n)?\(\w+(?:\.\w+)+\) (?=\S)", text):
        return first_line(Exception(text[wrapped.end() :]), most=200)
    return first_line(error, most=200)


def experiment_of(task: str, chosen: str | None = None) -> str:
    """MLflow's experiment of a run or sweep: the one chosen, or visrun/TASK."""
    return chosen or f"visrun/{task}"


def parameter_text(value: Any) -> str:
    """A parameter as MLflow shows it: text as it is, all else as JSON, so a list is one string.

    >>> parameter_text([30, 60]), parameter_text(True), parameter_text("adam"), parameter_text(0.001)
    ('[30, 60]', 'true', 'adam', '0.001')
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:LONGEST_VALUE]


def metric_name(name: str, *, spelled: bool = False) -> str:
    """``name`` with what MLflow refuses in a name replaced by "_", or ``spelled`` by the character's name.

    >>> metric_name("iou/tree (dead)"), metric_name("iou/.."), metric_name("/a//b")
    ('iou/tree _dead_', 'iou/_', '_/a/_/b')
    >>> metric_name("f1/<30", spelled=True)
    'f1/_less-than sign_30'
    """

    def stand_in(found: re.Match[str]) -> str:
        return "".join(f"_{unicodedata.name(c, f'{ord(c):x}').lower()}_" for c in found[0]) if spelled else "_"

    parts = re.sub(r"[^/\w.\- :]", stand_in, name).split("/")
    return "/".join(re.sub(r"^\.+$", stand_in, part) or "_" for part in parts)[:250]


def look_alikes(names: Collection[str]) -> set[str]:
    """Those of ``names`` that `metric_name` tells from no other unless they are spelled.

    >>> sorted(look_alikes(["<30", ">30", "tree (dead)", "30"]))
    ['<30', '>30']
    """
    counts = Counter(map(metric_name, {*names}))
    return {name for name in names if counts[metric_name(name)] > 1}


def source_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """What MLflow's list of runs shows in its columns User, Source and Version, the last from the tag "git"."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        user = "unknown"
    version = {"mlflow.source.git.commit": tags["git"]} if tags.get("git") else {}
    return {**version, "mlflow.user": user, "mlflow.source.name": "visrun", "mlflow.source.type": "LOCAL"}


def read_record(path: Path | None, uri: str) -> str | None:
    """The run that ``write_record`` noted for this store, if it did; None where the note came with a copied folder."""
    if path is None or not is_of_store(content := read_object(path), uri) or _is_copied(path, content):
        return None
    return str(content["run_id"])


def is_of_store(content: Mapping[str, Any], uri: str) -> bool:
    """Whether what a note holds is a run of this store."""
    return content.get("uri") == without_user(uri) and "run_id" in content


def is_open(content: Mapping[str, Any]) -> bool:
    """Whether the store may not have all yet of the run that a note holds."""
    return bool(content.get("open"))


def _is_copied(path: Path, content: Mapping[str, Any]) -> bool:
    """Whether the folder where the note was written still has it, as well as this one. Else this one was moved."""
    there = Path(str(content.get("folder", path.parent))) / path.name
    if there == path.absolute():
        return False
    return read_object(there).get("run_id") == content["run_id"] and not there.samefile(path)


def write_record(path: Path | None, uri: str, run_id: str, *, is_open: bool = False) -> None:
    """Note the run's id, as a whole or not at all; who may read the file learns no password of the store.

    Args:
        is_open: Whether the store may not have all of the run yet.
    """
    if path is not None:
        run = {"uri": without_user(uri), "run_id": run_id, "folder": str(path.parent.absolute())}
        content = run | ({"open": True} if is_open else {})
        write_atomic(path, (json.dumps(content) + "\n").encode())
