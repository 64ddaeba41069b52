import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from visrun import checkpoint, files
from visrun.errors import UserError, VisrunError


def test_round_trip_keeps_values_and_types(tmp_path):
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": [1, "x", None], "c": {"d": (1.5, True)}}
    checkpoint.save(state, tmp_path / "last.pt")
    loaded = checkpoint.load(tmp_path / "last.pt")
    assert torch.equal(loaded.pop("a"), state.pop("a"))
    assert loaded == state


def test_a_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save({"w": torch.ones(1000)}, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged.*; use another checkpoint$"):
        checkpoint.load(path)
    with pytest.raises(UserError, match=r"damaged.*; train anew$"):
        checkpoint.load(path, instead="train anew")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", None], ids=["empty", "no text", "a folder"])
def test_a_damaged_digest_is_noticed_and_replaced_by_the_next_where_it_can_be(tmp_path, content):
    path, digest = tmp_path / "last.pt", tmp_path / "last.pt.sha256"
    checkpoint.save({"epoch": 1}, path)
    if content is None:
        digest.unlink()
        digest.mkdir()
    else:
        digest.write_bytes(content)
    with pytest.raises(
        UserError, match=r"damaged \(its SHA-256 differs from last\.pt\.sha256\); use another checkpoint$"
    ):
        checkpoint.load(path)
    if content is None:
        with pytest.raises(VisrunError, match=r"last\.pt\.sha256: cannot write"):
            checkpoint.save({"epoch": 2}, path)
    else:
        checkpoint.save({"epoch": 2}, path)
        assert checkpoint.load(path)["epoch"] == 2


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 garbage"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        checkpoint.load(path)
    assert "best.pt" in str(error.value) and "\n" not in str(error.value)


def test_tensors_without_names_are_no_checkpoint(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"list\.pt: not a checkpoint of visrun; use another checkpoint$"):
        checkpoint.load(tmp_path / "list.pt")


def test_code_in_a_checkpoint_never_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="safely"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_file_that_could_not_be_replaced_is_still_whole(tmp_path, monkeypatch, failures):
    path, digests = tmp_path / "last.pt", tmp_path / "last.pt.sha256"
    checkpoint.save({"epoch": 1}, path)

    def fail(target, data):
        if target == path:
            raise VisrunError("cannot write")
        files.write_atomic(target, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomic", fail)
        for epoch in range(2, 2 + failures):
            with pytest.raises(VisrunError, match="cannot write"):
                checkpoint.save({"epoch": epoch}, path)
            assert checkpoint.load(path)["epoch"] == 1
    former = path.read_bytes()
    checkpoint.save({"epoch": 9}, path)
    assert checkpoint.load(path)["epoch"] == 9 and len(digests.read_text().split()) == 1
    path.write_bytes(former)
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(path)


def test_a_checkpoint_that_a_run_replaces_while_it_is_read_is_whole(tmp_path, monkeypatch):
    path, read = tmp_path / "best.pt", Path.read_bytes
    checkpoint.save({"epoch": 1}, path)

    def slow(self):
        data = read(self)
        checkpoint.save({"epoch": 2}, path)
        return data

    monkeypatch.setattr(Path, "read_bytes", slow)
    assert checkpoint.load(path) == {"epoch": 1}


def test_a_crash_between_the_file_and_its_digest_leaves_both_known(tmp_path, monkeypatch):
    path, written = tmp_path / "last.pt", []
    checkpoint.save({"epoch": 1}, path)

    def die(target, data):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(target)
        files.write_atomic(target, data)

    monkeypatch.setattr(checkpoint, "write_atomic", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"epoch": 2}, path)
    assert checkpoint.load(path)["epoch"] == 2


def test_a_full_disk_keeps_the_former_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    checkpoint.save({"epoch": 1}, path)
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(VisrunError, match="disk full"):
        checkpoint.save({"epoch": 2}, path)
    assert checkpoint.load(path)["epoch"] == 1


@pytest.mark.parametrize("links", [True, False])
def test_a_checkpoint_is_kept_aside_and_put_back_with_its_digest(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(checkpoint.os, "link", Mock(side_effect=OSError(errno.EPERM, "Operation not permitted")))
    path, aside = tmp_path / "best.pt", tmp_path / "best.former.pt"
    checkpoint.keep(path, aside)
    assert not list(tmp_path.iterdir())
    for epoch in (1, 2, 3):
        checkpoint.save({"epoch": epoch}, path)
        checkpoint.keep(path, aside)
        assert path.exists() == links
        checkpoint.save({"epoch": epoch + 1}, path)
        assert [checkpoint.load(file)["epoch"] for file in (path, aside)] == [epoch + 1, epoch]
    if links:
        (tmp_path / "best.pt.sha256").unlink()
        checkpoint.keep(path, aside)
        assert [checkpoint.load(file)["epoch"] for file in (path, aside)] == [4, 4]
        checkpoint.save({"epoch": 3}, aside)
    checkpoint.move(aside, path)
    assert checkpoint.load(path)["epoch"] == 3 and len(list(tmp_path.iterdir())) == 2
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(path)


def test_a_folder_in_which_nothing_can_be_kept_aside_is_one_line(tmp_path, monkeypatch):
    checkpoint.save({"epoch": 1}, tmp_path / "best.pt")
    closed = OSError(errno.EROFS, "Read-only file system")
    monkeypatch.setattr(checkpoint.os, "link", Mock(side_effect=closed))
    monkeypatch.setattr(checkpoint.Path, "replace", Mock(side_effect=closed))
    with pytest.raises(VisrunError, match=r"^[^\n]*/best\.former\.pt: cannot write \(Read-only file system\)$"):
        checkpoint.keep(tmp_path / "best.pt", tmp_path / "best.former.pt")


def test_a_checkpoint_that_is_not_there_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(
        UserError, match=r"best\.pt: cannot read the checkpoint \(No such .*\); use another checkpoint$"
    ):
        checkpoint.load(tmp_path / "best.pt")


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(VisrunError, match=r"^[^\n]*/gone/last\.pt: cannot write \(No such file or directory\)$"):
        checkpoint.save({"epoch": 1}, tmp_path / "gone" / "last.pt")


@pytest.mark.slow
def test_a_kill_in_the_middle_of_writing_leaves_a_whole_file(tmp_path):
    path = tmp_path / "last.pt"
    program = (
        "import itertools, pathlib, sys, torch\n"
        "from visrun import checkpoint\n"
        "for i in itertools.count():\n"
        "    checkpoint.save({'i': i, 'w': torch.full((2_000_000,), float(i))}, pathlib.Path(sys.argv[1]))\n"
    )
    for wait in (0.05, 0.11, 0.17):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)])
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        state = checkpoint.load(path)
        assert torch.equal(state["w"], torch.full((2_000_000,), float(state["i"])))
        files.remove_leftovers(tmp_path)
        assert not list(tmp_path.glob("*.tmp"))
        path.unlink()


def test_weights_fill_their_own_network_and_no_other(tmp_path):
    file, made, other = tmp_path / "best.pt", torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    checkpoint.fill(other, made.state_dict(), file=file)
    assert torch.equal(made.weight, other.weight)
    for network, odd in ((torch.nn.Linear(4, 2), "1 of 2"), (torch.nn.Linear(3, 2, bias=False), "1 of 1")):
        before = network.weight.clone()
        with pytest.raises(UserError) as error:
            checkpoint.fill(network, made.state_dict(), file=file)
        assert str(error.value).startswith(f"{file}: the weights of another network ({odd} tensors differ, such as ")
        assert torch.equal(network.weight, before)


class Memory(torch.nn.Module):
    """Keeps any number of rows of two."""

    def __init__(self, rows):
        super().__init__()
        self.register_buffer("rows", torch.arange(2.0 * rows).view(rows, 2))

    def _load_from_state_dict(self, state, prefix, *args):
        if state[f"{prefix}rows"].shape[1:] == self.rows.shape[1:]:
            self.rows = torch.empty_like(state[f"{prefix}rows"])
        super()._load_from_state_dict(state, prefix, *args)


def test_a_network_may_take_a_tensor_of_another_size(tmp_path):
    full, empty = Memory(5), Memory(1)
    checkpoint.fill(empty, full.state_dict(), file=tmp_path / "last.pt")
    assert torch.equal(empty.rows, full.rows)
    with pytest.raises(UserError, match=r"1 of 1 tensors differ, such as rows"):
        checkpoint.fill(empty, {"rows": torch.zeros(5, 3)}, file=tmp_path / "last.pt")
    assert torch.equal(empty.rows, full.rows)
