"""Every task on a GPU, a pretended one: train, evaluate, predict, as on the CPU and without waiting in a step."""

from __future__ import annotations

import atexit
import json
import math
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests import pretended_gpu
from tests.data.test_demo import shrink
from tests.forked import Command
from tests.test_flow import USUAL, rows, wait_for_epochs
from visrun.data import demo
from visrun.tables import TASKS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="a machine that has one takes no pretended one"),
]

ONCE = ["run.precision=fp32", "max_epochs=1", "batch_size=2"]
OBJECTS = [*ONCE, "data.image_size=64"]
CASES = {
    "classification": [
        *("run.precision=fp32", "max_epochs=2", "batch_size=16", "data.image_size=16", "data.cache=ram", "dropout=0.3"),
        *("augment.extra=[blur,noise]", "augment.mixup=0.3", "run.ema=0.9", "warmup_epochs=1"),
    ],
    "regression": [*ONCE, "data.image_size=32", "data.cache=disk", "run.accumulate=2", "run.clip=1"],
    "segmentation": ["run.precision=bf16", *ONCE[1:], "data.image_size=32", "data.cache=stream"],
    "anomaly_detection": [*ONCE, "data.image_size=32"],
    "object_detection": OBJECTS,
    "oriented_object_detection": OBJECTS,
    "instance_segmentation": OBJECTS,
}
SIMILAR = {"oriented_object_detection", "instance_segmentation"}  # to another, and twice as slow: no CPU runs them, too


def on_a_gpu() -> None:
    """Be a process that has one and tells at its end what waited for it, the last line that it says."""
    device = pretended_gpu.install()
    atexit.register(lambda: print(json.dumps(device.waits), flush=True))


def on_a_small_gpu() -> None:
    """Of 40 MB."""
    pretended_gpu.install(40_000_000)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for ``~/.cache``, with demos of a tenth of the images."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, lambda count: 2 + count // 20)
        patch.setattr("visrun.data.demo.defects.BAD", 3)
        for task in TASKS:
            demo.build(task, folder / "visrun" / "demo")
    return folder


@pytest.fixture(scope="module", params=TASKS)
def both(request, tmp_path_factory, cache) -> SimpleNamespace:
    """A task's runs on the GPU and on the CPU, and what was said when that on the GPU was evaluated and asked."""
    task, cwd = request.param, tmp_path_factory.mktemp("on")
    (data,) = (cache / "visrun" / "demo").glob(f"{task}-*")
    images = [str(file) for file in sorted(data.rglob("*.png")) if not {"mask", "truth"} & set(file.parent.name)][:2]
    words, place = [f"task={task}", *USUAL, *CASES[task]], {"cwd": cwd, "XDG_CACHE_HOME": str(cache)}
    gpu = Command([*words, "hydra.run.dir=gpu"], before=on_a_gpu, **place)
    if task not in SIMILAR:
        Command([*words, "run.device=cpu", "hydra.run.dir=cpu"], **place).ended(0, timeout=600)
    waits = json.loads(gpu.ended(0, timeout=600).splitlines()[-1])
    asked = [["evaluate", "gpu", f"data.root={data}", "out=measured"], ["predict", "gpu", *images, "out=seen"]]
    said = Command(*asked, before=on_a_gpu, apart=cwd / "stderr.txt", **place).ended(0, timeout=600)
    return SimpleNamespace(task=task, folder=cwd, waits=waits, said=said.splitlines()[:-1])


def result(folder: Path) -> dict:
    return json.loads((folder / "experiment.json").read_text())["result"]


def test_a_gpu_learns_what_a_cpu_does(both):
    names = ["gpu", *([] if both.task in SIMILAR else ["cpu"])]
    gpu, *cpu = (rows(both.folder / name) for name in names)
    assert result(both.folder / "gpu")["device"] == "cuda:0"
    assert all(math.isfinite(value) for row in gpu for value in row.values())
    for name in ("loss", "val_loss", "learning_rate"):
        assert all([row[name] for row in gpu] == pytest.approx([row[name] for row in other], rel=5e-3) for other in cpu)


def test_it_evaluates_and_predicts_what_it_has_learnt(both):
    noted, monitor = result(both.folder / "gpu")["test"], TASKS[both.task].monitor
    found, *answers = json.loads("\n".join(both.said[:-2])), *map(json.loads, both.said[-2:])
    assert {name: found[name] for name in noted} == pytest.approx(noted, rel=1e-3, nan_ok=True) and monitor in noted
    assert all("image" in answer for answer in answers)


def test_no_step_waits_for_the_device(both):
    """As its capture shows, in which nothing may; beside the steps some things do once, or once an epoch of the two."""
    assert "steps run as one CUDA graph" in (both.folder / "gpu" / "visrun.log").read_text()
    training = {wait: times for wait, times in both.waits.items() if "training.py:train_epoch" in wait}
    assert {wait for wait, times in training.items() if times > 2 and "check_finite" not in wait} == set()


@pytest.mark.parametrize("both", ["classification"], indirect=True)  # which draws on the device
def test_a_run_goes_on_as_if_it_had_not_been_stopped(both, cache, tmp_path):
    words, again = [f"experiment={both.folder / 'gpu' / 'experiment.json'}", "tracking=none"], tmp_path / "again"
    options = {"cwd": tmp_path, "before": on_a_gpu, "XDG_CACHE_HOME": str(cache)}
    stopped = Command([*words, f"hydra.run.dir={again}"], **options)
    wait_for_epochs(again, stopped, 1)
    stopped.send_signal(signal.SIGTERM)
    stopped.ended(143, timeout=120)
    Command(["resume", str(again)], **options).ended(0, timeout=120)
    assert rows(again) == rows(both.folder / "gpu")


def test_a_batch_that_fits_is_named_where_one_does_not(cache, tmp_path):
    words = ["task=segmentation", *USUAL, "max_epochs=1", "data.image_size=64", "batch_size=64", "hydra.run.dir=run"]
    said = Command(words, cwd=tmp_path, before=on_a_small_gpu, XDG_CACHE_HOME=str(cache)).ended(1, timeout=120)
    assert "batch_size=64: out of memory on cuda:0; batch_size=" in said


REFUSED = {
    "an operation on both": lambda there, here: there + here,
    "a layer of the host": lambda there, here: torch.nn.functional.linear(there, here),
    "a target of the host": lambda there, here: torch.nn.functional.cross_entropy(there, here[0].long()),
    "a number of the host among tensors": lambda there, here: torch.stack([there.sum(), here.sum()]),
    "an index there of a tensor here": lambda there, here: here[there[0].long()],
    "an array of it": lambda there, here: there.numpy(),
    "a generator of the host": lambda there, here: torch.rand_like(there, generator=torch.Generator()),
    "a generator of the device": lambda there, here: torch.rand(2, generator=torch.Generator(there.device)),
}
ALLOWED = {
    "a number of the host": lambda there, here: there * here.sum(),
    "an index here of a tensor there": lambda there, here: there[here[0].long()],
    "a copy": lambda there, here: there.copy_(here),
}


def try_all() -> None:
    """What CUDA refuses is refused, and nothing else."""
    pretended_gpu.install()
    there, here = torch.ones(2, 2, device="cuda:0"), torch.ones(2, 2)
    for why, wrong in REFUSED.items():
        with pytest.raises((RuntimeError, TypeError), match=r"same device|Expected a|can't convert"):
            print(why, wrong(there, here))
    assert all(right(there, here).device == there.device for right in ALLOWED.values())


def test_the_device_refuses_what_cuda_does(tmp_path):
    Command(cwd=tmp_path, before=try_all).ended(0, timeout=120)
