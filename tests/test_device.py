from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from visrun.device import autocast, choose_device, choose_precision, configure, full_precision, has_amx, place
from visrun.errors import ConfigError

CPU = torch.device("cpu")
has_cuda = torch.cuda.is_available()


def test_the_cpu_is_always_there_and_auto_takes_what_is_best():
    assert choose_device("cpu") == CPU
    assert choose_device("auto") == (torch.device("cuda", 0) if has_cuda else CPU)


@pytest.mark.skipif(has_cuda, reason="needs a machine without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ConfigError, match=rf"run\.device={name}: no CUDA device"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x", "cuda:1000", "cuda:１", ""])
def test_another_kind_of_device_is_refused(name):
    with pytest.raises(ConfigError, match="must be auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_precision_is_full_on_the_cpu_unless_asked_for():
    assert choose_precision("auto", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"


@pytest.mark.parametrize("own", [True, False])
def test_precision_is_bf16_where_the_gpu_that_is_meant_has_it_itself(own, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: asked.append(device) or nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: own or including_emulation)
    assert choose_precision("auto", torch.device("cuda", 1)) == ("bf16" if own else "fp32")
    assert asked == [torch.device("cuda", 1)]


@pytest.mark.parametrize("own", [True, False])
def test_amx_is_asked_for_on_a_cpu_and_torch_may_not_know_it(own, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: own)
    assert has_amx(CPU) is own
    assert not has_amx(torch.device("cuda", 0))
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert not has_amx(CPU)


def test_autocast_rounds_in_bf16_only():
    x = torch.randn(4, 4)
    with autocast(CPU, "fp32"):
        assert (x @ x).dtype == torch.float32
    with autocast(CPU, "bf16"):
        assert (x @ x).dtype == torch.bfloat16


def test_full_precision_knows_any_device():
    with torch.autocast("cpu", dtype=torch.bfloat16), full_precision(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with full_precision(torch.device("meta")):
        pass


def test_determinism_can_be_switched_on_and_off():
    configure(CPU, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    configure(CPU, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("options", "benchmark", "precision"),
    [
        ({}, True, "high"),
        ({"deterministic": True}, False, "highest"),
        ({"static_shapes": False}, False, "high"),
        ({"exact": True}, True, "highest"),
    ],
)
def test_what_a_gpu_is_told(options, benchmark, precision, monkeypatch):
    told = []
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", told.append)
    monkeypatch.setattr(torch.backends, "cudnn", SimpleNamespace())
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    configure(torch.device("cuda", 1), **{"deterministic": False, **options})
    torch.use_deterministic_algorithms(False)
    assert torch.backends.cudnn.benchmark == benchmark and told == [torch.device("cuda", 1), precision]


def test_weights_lie_channels_last() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    before = [tensor.clone() for tensor in module.state_dict().values()]
    place(module, torch.device("cpu"))
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not module[0].weight.is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(before, module.state_dict().values(), strict=True))
