"""What a run's settings mean for the way its images are fed."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from visrun.build import load
from visrun.config.compose import resolve
from visrun.config.settings import Settings
from visrun.data.look import Look
from visrun.feeding import build_loaders, keep_of, read_dataset
from visrun.tables import AUGMENTATIONS


@pytest.mark.parametrize(("slot", "threads", "cores"), [("1", "3", 3), (None, "3", None), ("0", None, None)])
def test_a_slot_decodes_with_its_share_of_the_cores(slot, threads, cores, monkeypatch):
    for name, value in {"VISRUN_SLOT": slot, "OMP_NUM_THREADS": threads}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    settings = Settings.model_validate({"task": "classification"})
    assert keep_of(settings).cores == cores


def test_augmentations_know_what_the_network_expects():
    resolved = resolve(["augment=none", "augment.extra=[grayscale]", "data.cache=stream", "batch_size=8"])
    look = Look(image_size=(32, 32), fit="crop", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    dataset = read_dataset(resolved.settings, Mock())
    loaders, _ = build_loaders(resolved, dataset, look, device=torch.device("cpu"), screen=Mock())
    (grayscale,) = loaders["train"].vary.extra
    images, seed = torch.rand(8, 3, 4, 4), np.random.default_rng
    expected = load(AUGMENTATIONS["grayscale"])(images, seed(0), mean=look.mean, std=look.std)
    assert torch.equal(grayscale(images, seed(0)), expected)
    assert not loaders["val"].vary.extra
