"""Whether a run can go on: its last checkpoint, its best one, and its data."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from visrun import checkpoint
from visrun.config.compose import resolve
from visrun.console import Screen
from visrun.errors import OutOfMemory, UserError
from visrun.record.journal import identity
from visrun.record.resuming import CannotResume, last_state, require_same_data, settle_best, where_left
from visrun.record.run_folder import RunFolder
from visrun.training import Progress


def test_a_run_goes_on_whatever_plugins_it_was_started_with(tmp_path: Path) -> None:
    resolved = resolve(["seed=3"])
    with RunFolder(tmp_path) as files:
        written = identity(resolved) | {"plugins": "['zoo']"}
        checkpoint.save({"identity": written, "begun": {}}, files.last)
        assert last_state(files, resolved, Screen()) == {"identity": written, "begun": {}}
        with pytest.raises(UserError, match=r"experiment\.json has changed since \(seed: 3 -> 0\)"):
            last_state(files, resolve([]), Screen())


def test_a_run_goes_on_under_a_version_that_has_more_settings(tmp_path: Path) -> None:
    written = {key: text for key, text in identity(resolve([])).items() if key not in ("run.ema", "dropout")}
    with RunFolder(tmp_path) as files:
        checkpoint.save({"identity": written, "begun": {}}, files.last)
        assert last_state(files, resolve(["task=classification", "dropout=0"]), Screen()) is not None
        with pytest.raises(UserError, match=r"changed since \(run\.ema: 0\.0 -> 0\.5\)"):
            last_state(files, resolve(["dropout=0", "run.ema=0.5"]), Screen())


def test_why_a_run_cannot_go_on_is_told_in_full_and_apart_from_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "a; b"
    with RunFolder(folder) as files:
        checkpoint.save({"identity": identity(resolve(["seed=3", "batch_size=5"])), "begun": {}}, files.last)
        with pytest.raises(CannotResume) as caught:
            last_state(files, resolve(["seed=4", "batch_size=6"]), Screen())
        told = "experiment.json has changed since (batch_size: 5 -> 6; seed: 3 -> 4)"
        assert caught.value.reason == str(caught.value) == f"{folder}: cannot resume, {told}"
        files.last.write_bytes(b"cut")
        with pytest.raises(CannotResume) as caught:
            last_state(files, resolve([]), Screen())
    reason = f"{files.last}: the file is damaged (its SHA-256 differs from last.pt.sha256)"
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{reason}; visrun ") and str(caught.value).endswith(" repeats the run")


def test_a_device_without_room_for_what_the_run_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "visrun.record.resuming.restore", Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory"))
    )
    with pytest.raises(OutOfMemory, match=r"^out of memory on cuda:1 in setting the run up: see nvidia-smi"):
        where_left({}, Mock(), Mock(), step=Mock(), scheduler=Mock(), device=torch.device("cuda", 1))


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"data": {"splits": {"train": 3, "val": 2}}}, "val had 2 images, now 1"),
        (
            {"data": {"splits": {"train": 4, "test": 2}}},
            "train had 4 images, now 3, test had 2 images, now 0, val had 0",
        ),
        ({"data": {"splits": {"train": 3, "val": 1}}, "fingerprints": {"val": "a"}}, "other files or labels in val"),
        ({"data": {"splits": {"train": 3, "val": 1}}, "fingerprints": {"val": "b"}}, "other files or labels in train"),
    ],
)
def test_what_has_changed_in_the_data_is_told(tmp_path: Path, result: dict[str, Any], told: str) -> None:
    dataset = Mock(splits={"train": (1, 2, 3), "val": (4,)}, fingerprint="whole", fingerprints={"val": "b"})
    former = {"data": {"fingerprint": "other"}, "result": result}
    with RunFolder(tmp_path) as files:
        checkpoint.save({}, files.best)
    with pytest.raises(UserError) as caught:
        require_same_data(former, dataset, tmp_path)
    assert f"since the run began ({told}" in str(caught.value)
    assert str(caught.value).endswith(" trains on from its best weights")
    with pytest.raises(UserError, match=r"/experiment\.json begins anew$"):
        require_same_data({**former, "model": {"name": "patchcore"}}, dataset, tmp_path)
    require_same_data({**former, "data": {"fingerprint": "whole"}}, dataset, tmp_path)
    require_same_data(None, dataset, tmp_path)


@pytest.mark.parametrize(
    ("best", "former", "of", "left"),
    [
        (3, 1, 1, 1),  # an error, or a death before last.pt was written
        (None, 1, 1, 1),  # a death while best.pt was written, where there are no hard links
        (1, 1, 1, 1),
        (3, 1, 3, 3),  # last.pt was written, and the former not yet removed
        (1, None, 1, 1),
        (3, None, 0, None),  # nothing was best when last.pt was written
        (3, None, 1, None),
    ],
)
def test_a_run_goes_on_from_the_best_that_its_last_checkpoint_knows(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    best: int | None,
    former: int | None,
    of: int,
    left: int | None,
) -> None:
    progress = Progress(2, 0, 0.5, 1.0, best_epoch=of) if of else Progress(2)
    with RunFolder(tmp_path) as files:
        for file, epoch in ((files.best, best), (files.former, former)):
            if epoch is not None:
                checkpoint.save({"epoch": epoch}, file)
        settle_best(files, progress, Screen())
        kept = {file.name: checkpoint.load(file) for file in files.checkpoints.glob("*.pt")}
        assert kept == ({"best.pt": {"epoch": left}} if left else {})
        assert len(list(files.checkpoints.iterdir())) == 2 * len(kept)
    told = capsys.readouterr()
    gone = "best.pt: the weights of epoch 1 are gone; the best is sought anew" in told.out + told.err
    assert gone == (of == 1 and left is None)
    assert progress == (Progress(2) if left is None else Progress(2, 0, 0.5, 1.0, of))


def test_a_damaged_best_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as files:
        checkpoint.save({"epoch": 1}, files.best)
        files.best.write_bytes(b"")
        with pytest.raises(
            UserError, match=r"/best\.pt: the file is damaged [^\n]*; delete it, or .* repeats the run$"
        ):
            settle_best(files, Progress(epoch=2, best_epoch=1), Screen())


@pytest.mark.parametrize("odd", [None, 3, ["seed"], {3: "0"}], ids=str)
def test_an_identity_of_another_kind_is_one_line(tmp_path: Path, odd: object) -> None:
    with RunFolder(tmp_path) as files:
        checkpoint.save({"identity": odd, "begun": {}}, files.last)
        with pytest.raises(UserError, match=r"^[^\n]*/last\.pt: a part is missing or of another kind \([^\n]*$"):
            last_state(files, resolve([]), Screen())
