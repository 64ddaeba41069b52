"""visrun's loop on a GPU against the bare step and against a plain PyTorch loop over the same JPEG files.

    python benchmarks/gpu.py [--images 4096] [--batch 32 256] [--workers 16] [--epochs 10] [--plain-epochs 2]

ResNet-18 at 224 px in bf16 on 500 x 375 photographs (see photos.py), made in a temporary folder. For each batch size:
- epochs of visrun's own loop after the first, shuffled and augmented, without evaluation and checkpoints;
- the captured step replayed on one static batch, as often; also the step called on that batch, which copies it in;
- epochs after the first of a plain loop: DataLoader workers that decode with PIL and transform with torchvision v2,
  pinned memory, persistent workers, channels_last, eager bf16 autocast, fused SGD.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from common import environ, parts_of, report, speeds
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models
from torchvision.transforms import v2

SCRIPT = Path(__file__).with_name("photos.py")


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        words = [name, "--images", str(options.images), "--workers", str(options.workers)]
        subprocess.run([sys.executable, str(SCRIPT), *words], env=environ({"OMP_NUM_THREADS": "1"}), check=True)
        for batch_size in options.batch:
            fast = visrun_loop(Path(name), batch_size, options)
            plain_loop(Path(name), batch_size, options, fast)


def arguments() -> Namespace:
    parser = argparse.ArgumentParser(description="visrun's loop on a GPU")
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=10, help="of visrun's loop, timed")
    parser.add_argument("--plain-epochs", type=int, default=2, help="of the plain loop, timed")
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def visrun_loop(folder: Path, batch_size: int, options: Namespace) -> float:
    """Report visrun's side; returns its images/s."""
    overrides = ["task=classification", "model=resnet18", "model.pretrained=false", "tracking=none"]
    overrides += [f"data.root={folder}", f"data.image_size={options.size}", f"batch_size={batch_size}"]
    overrides += [f"run.device={options.device}", f"data.workers={options.workers}"]
    made = parts_of([*overrides, f"max_epochs={options.epochs + 12}"])
    loader = made.loaders["train"]
    facts = {"batch_size": batch_size, "image_size": options.size, "precision": made.precision}
    if not loader.images.reused:
        took, n = loader.images.seconds, len(loader.images)
        report("gpu/cache", took, "s", images_per_second=round(n / took, 1), place=loader.images.place)
    found = speeds(made, options.epochs)
    facts |= {"images": len(loader) * batch_size * options.epochs, "graph": made.step.graph_note or "none: not on CUDA"}
    speed = found.pop("loop")
    for name, alone in found.items():
        report(f"gpu/step_{name}", alone, "images/s", **facts)
    name, alone = list(found.items())[-1]  # the graph's, where there is one
    report("gpu/visrun", speed, "images/s", ratio=speed / alone, over=f"gpu/step_{name}", **facts)
    return speed


def plain_loop(folder: Path, batch_size: int, options: Namespace, fast: float) -> None:
    """Report the plain loop, and visrun's speed over it."""
    device = torch.device(options.device)
    loader = data_loader(folder / "train", batch_size, options)
    model = models.resnet18(num_classes=10).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    plain_epoch(model, optimizer, loader, device)
    began = time.perf_counter()
    images = sum(plain_epoch(model, optimizer, loader, device) for _ in range(options.plain_epochs))
    speed = images / (time.perf_counter() - began)
    facts = {"batch_size": batch_size, "image_size": options.size, "workers": options.workers, "images": images}
    report("gpu/plain", speed, "images/s", **facts)
    report("gpu/speed_up", fast / speed, "times", ratio=fast / speed, over="gpu/plain", **facts)


def data_loader(folder: Path, batch_size: int, options: Namespace) -> DataLoader[Any]:
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(options.size),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return DataLoader(
        datasets.ImageFolder(folder, transform),
        batch_size,
        shuffle=True,
        num_workers=options.workers,
        pin_memory=options.device != "cpu",
        persistent_workers=True,
        drop_last=True,
    )


def plain_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader[Any], device: torch.device
) -> int:
    """Train one epoch; returns its images once the device has finished."""
    images = 0
    for batch, labels in loader:
        pixels = batch.to(device, memory_format=torch.channels_last, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu"):
            loss = nn.functional.cross_entropy(model(pixels), labels.to(device, non_blocking=True))
        loss.backward()
        optimizer.step()
        images += len(batch)
    loss.item()
    return images


if __name__ == "__main__":
    main()
