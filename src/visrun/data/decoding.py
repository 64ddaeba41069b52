"""One picture from its file to its canvas, in this process or in a helper process. Imports no torch: a helper starts in
a fraction of a second.

A canvas holds the picture at its top left, shrunk once (antialiased, aspect kept, never enlarged), its right and bottom
edges repeated so that sampling at the border is clean.

Up to four threads share Python's lock well; sixteen get less done than four (on 16 cores, photographs of 500 x 375: 400
images a second against 765; with helpers 1,100). So with more, each thread drives a `Helper`, which writes into memory
both share, ignores Ctrl-C, and ends when its thread's end of the pipe does, however that happens.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visrun.data.ids import IGNORE
from visrun.data.images import Truth, load_rgb, mask_of
from visrun.data.objects import Objects, layered
from visrun.data.outlines import Window
from visrun.data.verdicts import BESIDE, DEFECT, Verdict
from visrun.errors import DataError
from visrun.interpreter import python

Pixels = NDArray[np.uint8]
LENGTH = struct.Struct("<I")
GRACE = 1.0  # seconds for what was told to end


@dataclass(frozen=True)
class Job:
    """A picture to decode.

    Args:
        image: The file.
        mask: Its mask, the objects or the verdict of which one is wanted, or None.
        mask_ids: As `visrun.data.images.mask_of` takes them; () = numbers of objects, not classes.
        size: (height, width) in the canvas.
        window: The part of the file that the picture is.
        whole: (height, width) of the file.
        white: The value of 16-bit grey that is white, as `visrun.data.images.load_rgb` takes it.
    """

    image: Path
    mask: Truth | None
    mask_ids: tuple[int, ...]
    size: tuple[int, int]
    window: Window
    whole: tuple[int, int]
    white: int | None = None

    @property
    def cut(self) -> bool:
        """Whether the picture is less than its file."""
        return self.window != (0, 0, self.whole[1], self.whole[0])

    def decode(self, pixels: Pixels, mask: Pixels | None) -> None:
        """Fill ``pixels`` (Hc, Wc, 3) and ``mask`` (L, Hc, Wc): class ids, 255 beyond the picture, or the numbers of
        objects, 0 where there is none.

        Raises:
            DataError: A file that cannot be read.
        """
        h, w = self.size
        image = self._windowed(self._image())
        if image.shape[:2] != self.size:
            image = np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))
        pixels[:h, :w] = image
        pixels[:h, w:] = pixels[:h, w - 1 : w]
        pixels[h:] = pixels[h - 1 : h]
        if self.mask is None or mask is None:
            return
        if isinstance(self.mask, Objects) and not self.mask_ids:
            mask[:] = 0
            mask[:, :h, :w] = layered(self.mask.within(self.window), self.size, window=self.window)
            return
        ids = self._windowed(self._ids())
        if ids.shape != self.size:
            marked = isinstance(self.mask, Verdict) and self.mask.marked
            ids = _marked(ids, self.size) if marked else _nearest(ids, self.size)
        mask[:] = IGNORE
        mask[0, :h, :w] = ids

    def _image(self) -> Pixels:
        if not self.cut:
            return load_rgb(self.image, size=self.size, noted=self.whole, white=self.white)
        whole = partial(load_rgb, self.image, noted=self.whole, white=self.white)
        return _kept("image", (self.image, self.whole, self.white), whole)

    def _ids(self) -> Pixels:
        assert self.mask is not None
        whole = partial(mask_of, self.mask, self.mask_ids, self.whole)
        if not self.cut or not isinstance(self.mask, Path):
            return whole()
        return _kept("mask", (self.mask, self.mask_ids), whole)

    def _windowed(self, array: Pixels) -> Pixels:
        if not self.cut:
            return array
        left, top, right, bottom = self.window
        return array[top:bottom, left:right]


def _kept(kind: str, key: object, decode: Callable[[], Pixels]) -> Pixels:
    """What ``decode`` gives, or gave in this thread's last call where that had the same ``key``: a file's tiles follow
    each other, and decoding all of it for each takes many times as long."""
    if _last.__dict__.get(kind, (None, None))[0] != key:
        _last.__dict__.pop(kind, None)  # before there are two
        _last.__dict__[kind] = (key, decode())
    found: Pixels = _last.__dict__[kind][1]
    return found


_last = threading.local()


def _nearest(ids: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST))


def _marked(codes: Pixels, size: tuple[int, int]) -> Pixels:
    """A marked defect at a smaller size: where any pixel under one is of it, so that a scratch stays in one piece."""
    marks = codes == DEFECT
    for axis, n in enumerate(size):
        marks = np.logical_or.reduceat(marks, np.arange(n) * codes.shape[axis] // n, axis=axis)
    return np.where(marks, DEFECT, BESIDE).astype(np.uint8)


class Helper:
    """A process that decodes one picture at a time into a canvas it shares with this one."""

    def __init__(self, canvas: tuple[int, int], layers: int = 1) -> None:
        fd = _shared(canvas[0] * canvas[1] * (3 + layers))
        self.pixels, self.mask = _views(fd, canvas, layers)
        self.process = subprocess.Popen(
            python("-c", f"from visrun.data.decoding import serve; serve({fd}, {canvas}, {layers})"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[fd],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        os.close(fd)

    def decode(self, job: Job, pixels: Pixels, mask: Pixels | None, timeout: float) -> None:
        """As `Job.decode`.

        Raises:
            DataError: A file that cannot be read.
            Lost: One that took longer than ``timeout`` seconds (`Late`), or that ended the helper.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            _write(self.process.stdin, pickle.dumps(job))
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                raise Late(f"{job.image}: not read within {timeout:.0f} s: is a network drive gone?")
            trouble = _read(self.process.stdout).decode()
        except (EOFError, BrokenPipeError):
            code = self.process.wait()
            raise Lost(f"{job.image}: the process decoding it ended ({_ending(code)})") from None
        if trouble:
            raise DataError(trouble)
        pixels[:] = self.pixels
        if mask is not None:
            mask[:] = self.mask

    def close(self) -> None:
        """End the process, whatever it is doing; a read that not even SIGKILL ends is left to itself."""
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=GRACE)


class Lost(DataError):
    """A helper is of no more use: it ended, or its answer, if any still comes, belongs to a job given up."""


class Late(Lost):
    """A picture did not come in time. That says something of its drive, and nothing of the file."""


def serve(fd: int, canvas: tuple[int, int], layers: int) -> None:
    """What a helper runs: jobs from standard input until it ends."""
    for number in (signal.SIGINT, signal.SIGHUP):  # both reach it through its leader
        signal.signal(number, signal.SIG_IGN)
    pixels, mask = _views(fd, canvas, layers)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing a library prints may pass for an answer
    while True:
        try:
            job: Job = pickle.loads(_read(sys.stdin.buffer))
        except EOFError:
            return
        trouble = ""
        try:
            job.decode(pixels, mask)
        except DataError as error:
            trouble = str(error)
        _write(answers, trouble.encode("utf-8", "replace"))


def _shared(size: int) -> int:
    """A file descriptor of ``size`` bytes of memory that no folder names (/dev/shm is 64 MB in many containers)."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("visrun")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


def _views(fd: int, canvas: tuple[int, int], layers: int) -> tuple[Pixels, Pixels]:
    area = canvas[0] * canvas[1]
    memory = np.frombuffer(mmap.mmap(fd, area * (3 + layers)), np.uint8)
    return memory[: area * 3].reshape(*canvas, 3), memory[area * 3 :].reshape(layers, *canvas)


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return stream.read(LENGTH.unpack(head)[0])


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}: out of memory?" if code < 0 else f"exit code {code}"
