"""What a run leaves of the process that started it, and what it takes."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import visrun
from visrun import chance, run
from visrun.device import configure
from visrun.errors import ConfigError, DataError, VisrunError, exit_code
from visrun.tracking import client

DONE = run.Result(Path(), "finished")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "words", ["task=regression", {"task": "regression"}, [["task=regression"]], iter(["task=regression"])]
)
def test_it_takes_a_list_of_texts(words: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        visrun.train(words)
    assert caught.value.problems == ('train takes a list of texts, as in train(["task=regression", "max_epochs=5"])',)


def test_it_takes_no_flags() -> None:
    with pytest.raises(ConfigError) as caught:
        visrun.train(["--cfg", "job", "-m"])
    told = "flags are not taken from Python; write key=value"
    assert caught.value.problems == (f"--cfg: {told}", f"-m: {told}")


def switches() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return *deterministic, cudnn.benchmark, cudnn.deterministic, torch.get_float32_matmul_precision()


@pytest.mark.parametrize("fails", [False, True])
def test_torchs_switches_are_put_back_however_it_ends(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: Any, **__: Any) -> run.Result:
        configure(torch.device("cpu"), deterministic=True)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = True, True
        torch.set_float32_matmul_precision("high")
        if fails:
            raise DataError("broken")
        return DONE

    monkeypatch.setattr(run, "_run", train)
    before = switches()
    for _ in range(2):
        try:
            visrun.train(["run.device=cpu"])
        except DataError:
            assert fails
        assert switches() == before


def test_it_learns_in_float32_whatever_its_caller_does(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def train(*_: Any, **__: Any) -> run.Result:
        told.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()))
        return DONE

    monkeypatch.setattr(run, "_run", train)
    former = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            visrun.train(["run.device=cpu"])
            assert not torch.is_grad_enabled()
        with torch.inference_mode():
            visrun.train(["run.device=cpu"])
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(former)
    assert told == [(True, False, torch.float32)] * 2


@pytest.mark.parametrize(("used", "former"), [(False, 0), (True, 2)])
def test_the_current_gpu_is_the_former_one_again(used: bool, former: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told, started = [], [used]

    def train(*_: Any, **__: Any) -> run.Result:
        started[0] = True
        configure(torch.device("cuda", 1), deterministic=False)
        return DONE

    monkeypatch.setattr(run, "_run", train)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: started[0])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    visrun.train(["run.device=cpu"])
    assert told == [torch.device("cuda", 1), former]


def test_what_a_search_around_it_draws_does_not_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_run", lambda *_, **__: chance.seed(0) or DONE)
    drawn = []
    for _ in range(2):
        visrun.train(["run.device=cpu"])
        drawn += [random.random(), np.random.rand(), torch.rand(()).item()]
    assert len(set(drawn)) == 6


def test_mlflow_is_put_back_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setattr(run, "_run", lambda *_, **__: client.hush_process() or DONE)
    visrun.train(["run.device=cpu"])
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_precision_that_torch_does_not_tell_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_run", lambda *_, **__: DONE)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", Mock(side_effect=RuntimeError("mix of APIs")))
    monkeypatch.setattr(torch, "set_float32_matmul_precision", Mock(side_effect=AssertionError))
    visrun.train(["run.device=cpu"])


def test_a_second_run_at_once_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_run", lambda *_, **__: visrun.train(["run.device=cpu"]))
    with pytest.raises(VisrunError, match=r"^another run is under way in this process; wait for its end, or train in"):
        visrun.train(["run.device=cpu"])


@pytest.mark.parametrize("code", [130, 143])
def test_a_run_that_a_signal_stopped_ends_the_callers_loop_too(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = run.Result(Path(), "killed", exit_code=code)
    monkeypatch.setattr(run, "_run", lambda *_, **__: stopped)
    begun = []
    with pytest.raises(KeyboardInterrupt) as caught:
        for seed in range(3):
            begun.append(seed)
            visrun.train(["run.device=cpu", f"seed={seed}"])
    assert begun == [0] and exit_code(caught.value) == code
