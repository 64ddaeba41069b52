"""What is wrong with a file that is no readable image, in words."""

from __future__ import annotations

from pathlib import Path

from PIL import UnidentifiedImageError

from visrun.errors import DataError


class Undecodable(DataError):
    """Images whose pixels cannot be had, listed."""


def reason(path: Path, error: BaseException) -> str:
    """Why opening or decoding ``path`` ended in ``error``."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, UnidentifiedImageError | SyntaxError):
        return _sniff(path)
    return f"broken image ({' '.join(str(error).split()) or type(error).__name__})"


def _sniff(path: Path) -> str:
    """What a file that Pillow does not know really is, from its first bytes."""
    with Path(path).open("rb") as file:
        start = file.read(64)
    if not start:
        return "empty file (0 bytes)"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image itself: run `git lfs pull`"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "not an image but HTML or XML text"
    if start.startswith((b"II*\0", b"MM\0*")):
        return "a TIFF that Pillow does not read: cut short, of more than four channels or of a rare compression"
    if start.startswith((b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF")):
        return "the image's header is cut short or broken"
    return "not an image that Pillow reads"
