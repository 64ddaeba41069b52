"""Photographs to decode: JPEG files of 500 x 375 in class folders, as costly to read as real ones.

    python benchmarks/photos.py FOLDER [--images 4096] [--workers N]

Amplitude spectra of natural images fall with a power of 0.8 to 1.5 of the frequency (Tolhurst et al., Ophthalmic and
Physiological Optics 12, 1992). Each file is such noise from a seed of its own, in its class's hue: about 70 kB, as a
detailed photograph of this size has. FOLDER gets train/CLASS/*.jpg and val/CLASS/*.jpg.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT, QUALITY, CLASSES = 500, 375, 90, 10
SLOPE = 1.3
CONTRAST = 40  # standard deviation of the luminance, grey levels
CHROMA = 0.25  # of the luminance's contrast


def main() -> None:
    parser = argparse.ArgumentParser(description="make a class folder of JPEG photographs")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    began = time.perf_counter()
    size = make(options.folder, options.images, options.workers)
    took = time.perf_counter() - began

    from common import report

    report(
        "photos/make", options.images / took, "images/s", seconds=round(took, 2), mean_kilobytes=round(size / 1e3, 1)
    )


def make(folder: Path, images: int, workers: int) -> float:
    """Write ``images`` files for training and a twentieth as many, at least one a class, for validation; their mean
    size in bytes."""
    splits = {"train": images, "val": max(CLASSES, images // 20)}
    files = [(split, number) for split, count in splits.items() for number in range(count)]
    for split in splits:
        for label in range(CLASSES):
            (folder / split / f"class_{label}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        return float(np.mean(list(pool.map(partial(write, folder), files, chunksize=32))))


def write(folder: Path, file: tuple[str, int]) -> int:
    """One photograph; returns its bytes."""
    split, number = file
    label = number % CLASSES
    path = folder / split / f"class_{label}" / f"{number:05}.jpg"
    Image.fromarray(photograph(np.random.default_rng([number, split == "val"]), label)).save(path, quality=QUALITY)
    return path.stat().st_size


def photograph(rng: np.random.Generator, label: int) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3)."""
    luma = natural(rng)
    chroma = [CHROMA * natural(rng) + part for part in hue(label)]
    rgb = np.stack([luma + chroma[0], luma - 0.3 * chroma[0] - 0.3 * chroma[1], luma + chroma[1]], 2)
    return (128 + CONTRAST * rgb).clip(0, 255).astype(np.uint8)


def natural(rng: np.random.Generator) -> NDArray[np.float32]:
    """(HEIGHT, WIDTH) of mean 0 and standard deviation 1."""
    y, x = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]
    frequency = np.hypot(y, x)
    frequency[0, 0] = np.inf
    waves = rng.standard_normal((2, *frequency.shape), np.float32)
    field = np.fft.irfft2((waves[0] + 1j * waves[1]) / frequency**SLOPE, (HEIGHT, WIDTH))
    return (field / field.std()).astype(np.float32)


def hue(label: int) -> tuple[float, float]:
    """Where on the colour circle a class lies."""
    angle = 2 * np.pi * label / CLASSES
    return 0.4 * float(np.cos(angle)), 0.4 * float(np.sin(angle))


if __name__ == "__main__":
    main()
