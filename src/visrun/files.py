"""Files that a crash leaves whole, and those that anybody may have written.

Ours are written beside their place, flushed to the disk and renamed over it: a reader sees the old content or the new
one, never half of either.
"""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from visrun.errors import UserError, VisrunError
from visrun.run_files import MAX_BYTES

MOST_READ = 200_000_000  # bytes of a file of lines that the page reads, such as metrics.jsonl


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Replace ``path`` by ``data`` so that a crash leaves either the old or the new file.

    Raises:
        VisrunError: It cannot be written; what stood at ``path`` is still whole.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a killed write, or a link that would be written through
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _forget(temporary)
        raise VisrunError(f"{path}: cannot write ({error.strerror})") from error
    except BaseException:
        _forget(temporary)
        raise


def update(path: Path, data: bytes) -> None:
    """As :func:`write_atomic`, its folder made; a file that holds ``data`` already is left alone.

    Raises:
        VisrunError: It cannot be written.
    """
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VisrunError(f"{path}: cannot write ({error.strerror})") from error
    write_atomic(path, data)


def write_named(out: Path, data: bytes | memoryview) -> None:
    """As :func:`write_atomic`, of a file that a user named by ``out=``: a link stays a link, and a pipe or device takes
    ``data`` as it is.

    Raises:
        UserError: It cannot be written; a file that stood there is still whole.
    """
    with writing(out, another="file"):
        if out.is_file():
            out.open("r+b").close()  # one that may not be written is not replaced either
        elif out.exists():
            out.write_bytes(data)
            return
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
        file = out.resolve()
    try:
        write_atomic(file, data)
    except VisrunError as error:  # which names the file
        raise UserError(f"out={error}; name another file") from None


def read_plain(path: Path, most: int = MOST_READ) -> bytes:
    """What a file holds that somebody else may have put there: a pipe or device in its place would never end.

    Raises:
        OSError: It is missing, cannot be read, is no file or larger than ``most`` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("no file, but a folder, pipe or device")
    if found.st_size > most:
        raise OSError(f"larger than {most:,} bytes")
    return path.read_bytes()


def stamp_of(file: str | Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns: a file with the same two is the same; None of one that is not
    there, or of a name that no file can have."""
    try:
        found = os.stat(file)  # noqa: PTH116 (thousands of files)
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def read_object(path: Path) -> dict[str, Any]:
    """What a JSON file such as status.json holds; {} where it is missing, broken or no object."""
    try:
        content = json.loads(read_plain(path, MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def part_of(content: Mapping[str, Any] | None, key: str) -> dict[str, Any]:
    """An object within what such a file holds, such as the result in experiment.json; {} where there is none."""
    value = (content or {}).get(key)
    return value if isinstance(value, dict) else {}


def remove_leftovers(folder: Path) -> None:
    """Delete what a write that was killed half-way left behind."""
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:  # its folder is none, or may not be written
        return


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the file system can do so; old or new, the file is whole without."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def writing(out: Path, *, another: str = "folder") -> Iterator[None]:
    """Turn what the system refuses while ``out`` is written, or something into it, into one line.

    Raises:
        UserError: Instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"out={out}: cannot be written ({error.strerror or error}); name another {another}") from None


def csv_of(rows: Iterable[Iterable[object]]) -> bytes:
    """A table as the content of a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8-sig")  # without the mark Excel reads another encoding
