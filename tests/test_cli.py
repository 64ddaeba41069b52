"""The command: verbs, Hydra's flags, exit codes, one line for each problem, folders, sweeps."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image

import visrun
from visrun import __main__ as program
from visrun import cli, launch
from visrun.config.search_path import conf_dir
from visrun.errors import UserError
from visrun.record.run_folder import RunFolder
from visrun.signals import EXIT_CODES, Interrupted

# The command with a training that only says what it was asked for: what is tested here comes before and after it.
COMMAND = """
import sys, types
import visrun
from visrun.errors import VisrunError

def execute(resolved, folder, trial=None):
    values, settings = resolved.hyperparameters, resolved.settings
    if values.batch_size == 7:
        raise VisrunError("out of luck\\nand lines")
    if values.batch_size == 5:
        from visrun.console import Screen

        Screen().say("to nobody")
    if values.batch_size == 6:
        raise ZeroDivisionError("a fault")
    print("RUN", folder, values.optimizer, values.learning_rate, settings.data.root, settings.recipe, flush=True)
    return types.SimpleNamespace(value=0.5, exit_code=130 if values.batch_size == 9 else 0)

visrun.run = sys.modules["visrun.run"] = types.ModuleType("visrun.run")
visrun.run.execute = execute
from visrun.cli import main
code = main()
heavy = [name for name in ("torch", "mlflow", "optuna", "matplotlib") if name in sys.modules]
print("HEAVY", heavy, file=sys.stderr)
sys.exit(code)
"""


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", COMMAND, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def runs(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    return [line.split(maxsplit=5)[1:] for line in done.stdout.splitlines() if line.startswith("RUN ")]


LONG = "a" * 300  # no file system takes a name of this length


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lr=1"], "lr is no setting (did you mean learning_rate?)"),
        (["optimizer=adm"], "optimizer=adm: must be adam, adamw or sgd (did you mean adam?)"),
        (["learning_rate=nan"], "learning_rate=NaN: must be a number > 0"),
        (["train", "data.root=x"], "train is no verb of visrun; write visrun data.root=PATH"),
        (["val", "RUN", "imgsz=64"], "val is no verb of visrun; write visrun evaluate RUN"),
        (["val", "RUN"], "val is no verb of visrun; write visrun evaluate RUN"),
        (["--epochs", "5"], "--epochs is no flag; settings are written key=value (did you mean max_epochs?)"),
        (["--batch-size=5"], "--batch-size=5 is no flag; write batch_size=VALUE"),
        (["--resume", "RUN"], "--resume is no flag; write visrun resume RUN"),
        (["-v"], "-v is no flag; write visrun --version"),
        (["--experiment", "RUN"], "--experiment is no flag; write experiment=VALUE"),
        (["--config", "a.yaml"], "--config is no flag; settings are written key=value (did you mean recipe?)"),
        (["models=resnet18"], "models is no setting (did you mean model?)"),
        (["explain", "hydra.sweeper.n_trials=5"], "hydra.sweeper.n_trials=5: needs -m"),
        (["predict", "RUN", "https://host/bus.jpg"], "https://host/bus.jpg: addresses are not read; download it"),
        (["resume", "RUN", "max_epochs=6"], "RUN/experiment.json: no such file"),
        (["+momentum=0.5"], "+momentum=0.5: settings are neither added nor removed; write momentum=value"),
        (["~optimizer"], "~optimizer: settings are neither added nor removed; write optimizer=value"),
        (["seed=1", "seed=2"], "seed is given twice: seed=1 and seed=2; keep one"),
        (["optimizer=adam,sgd"], "optimizer=adam,sgd: one value only; visrun -m runs each"),
        (["-m", "batch_size=8,0"], "batch_size=0: must be an integer from 1 to 256"),
        (["warmup_epochs=9", "max_epochs=9"], "warmup_epochs=9: must be below max_epochs=9"),
        (["expalin"], "expalin is no setting; write key=value (did you mean explain?)"),
        (["explain", "lr=1"], "lr is no setting (did you mean learning_rate?)"),
        (["--config-dir", "nowhere"], "--config-dir nowhere: no such folder"),
        (["--config-name", "mine"], "--config-name is not taken; put a config.yaml into ./conf or --config-dir"),
        (["--config-path", "mine"], "--config-path is not taken; use --config-dir"),
        (["--experimental-rerun", "x"], "--experimental-rerun is not taken; use experiment=PATH/experiment.json"),
        (["--cfg", "job", "-m"], "--cfg and --multirun: one of them only"),
        (["--resolve", "seed=1"], "--resolve: with --cfg or --help only, as in --cfg job --resolve"),
        (["-p", "model"], "--package: with --cfg only, as in --cfg job --package model"),
        (["--cfg", "job", "momentum=2"], "momentum=2: must be a number >= 0 and < 1"),
        (["--help", "lr=1"], "lr is no setting (did you mean learning_rate?)"),
        (["experiment=x.json"], "no such file"),
        (["hydra.nothing=1"], "hydra.nothing is no setting"),
        (["data.root=nowhere"], "nowhere: no such file or folder"),
        (["run.device=cuda:999"], "run.device=cuda:999: "),
        (["data.cache=gpu", "run.device=cpu"], "data.cache=gpu: this run trains on cpu: use auto, ram, disk or stream"),
        (["model.weights=none.pt"], "none.pt does not exist; give a .pt, .pth or .safetensors file, or a run's folder"),
        (["-m", "seed=1,2", "hydra/launcher=nothing"], "hydra/launcher=nothing: must be basic, "),
        (["hydra/launcher=5"], "hydra/launcher=5: must be the name of an option"),
        (["explain", "hydra/launcher=1.5"], "hydra/launcher=1.5: must be the name of an option"),
        (["-m", "seed=1,2", "hydra/sweeper=true"], "hydra/sweeper=true: must be the name of an option"),
        (["check", "~no_such_user/x"], "~no_such_user/x: no such file or folder"),
        (["resume", "~no_such_user/x"], "~no_such_user/x/experiment.json: no such file"),
        (["resume", __file__], "test_cli.py: is a file; name a run's folder, the one that holds experiment.json"),
        (["explain", "experiment=~no_such_user/x"], "~no_such_user/x: no such file"),
        (["predict", "~no_such_user/x", "~no_such_user/y"], "~no_such_user/y: no such file or folder"),
        (["compare", "~no_such_user/x", LONG], f"{LONG}: a name in this path is too long"),
        (["explain", "+x=a\nb"], "+x=a b: settings are neither added nor removed, and x is no setting"),
        (["explain", f"seed={'1' * 4301}"], "...: must be an integer from 0 to 4294967295"),
        (["check", LONG], f"{LONG}: a name in this path is too long"),
        (["explain", f"experiment={LONG}"], f"{LONG}: a name in this path is too long"),
        (["data.root=" + LONG], f"{LONG}: a name in this path is too long"),
        (["model.weights=" + LONG], f"{LONG}: a name in this path is too long"),
    ],
    ids=lambda item: " ".join(item),
)
def test_wrong_input_is_one_line_and_exit_code_2(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("visrun: error: ")
    assert err.count("\n") == 1
    assert line in err
    assert not list(empty_folder.rglob("*.*"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", b"/a/b"), "/a/b: permission denied; ask whom"),
        (OSError(errno.ELOOP, "Too many links", "/a/b"), "/a/b: links that lead in a circle"),
        (OSError(errno.EROFS, "Read-only file system", "/a/b"), "/a/b: the file system is read-only"),
        (OSError(errno.ENOSPC, "No space left", "/a/b"), "/a/b: no space left on the disk"),
        (OSError(errno.ENOTDIR, "Not a directory", "/a/b"), "/a/b: a file stands where a folder should be"),
    ],
    ids=["closed", "circle", "read-only", "full", "file"],
)
@pytest.mark.parametrize("verb", cli.VERBS)
def test_a_path_that_cannot_be_looked_at_is_one_line(
    verb: str, error: OSError, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> int:
        raise error

    monkeypatch.setitem(cli.VERBS, verb, cli.VERBS[verb]._replace(main=refuse))
    assert cli.main([verb, "RUN"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"visrun: error: {line}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_that_wait_sleep_soon_unless_the_user_chose(
    chosen: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {name: os.environ[name] for name in os.environ if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    monkeypatch.setattr(os, "environ", {**others, **chosen})
    assert cli.main(["--version"]) == 0
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_an_image_that_pillow_warns_of_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("L", (8, 8), 80 * i).save(tmp_path / name / f"{i}.png")
    Image.new("1", (10_000, 9_000)).save(tmp_path / "a" / "large.png")
    cli.main(["check", str(tmp_path), "task=classification", f"out={tmp_path / 'sheet.png'}"])
    said = capsys.readouterr()
    assert "10000x9000 is above the limit" in said.out + said.err
    assert "data.tile does not" in said.out + said.err and "Warning" not in said.err


def test_what_pillow_says_of_a_damaged_header_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            picture = Image.new("RGB", (8, 8), (80 * i, 0, 30 * (name == "a")))
            picture.save(tmp_path / name / f"{i}.jpg", exif=b"Exif\0\0MM\0*" + b"\xff" * 30)
    assert cli.main(["check", str(tmp_path), "task=classification", f"out={tmp_path / 'sheet.png'}"]) == 0
    assert "Corrupt EXIF" not in capsys.readouterr().err


def test_a_fault_that_is_no_paths_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OSError(errno.EACCES, "Permission denied"), OSError(errno.EIO, "Input/output error", "/a/b")):

        def refuse(_: object, error: OSError = error) -> int:
            raise error

        monkeypatch.setitem(cli.VERBS, "check", cli.VERBS["check"]._replace(main=refuse))
        with pytest.raises(OSError, match=r"denied|Input"):
            cli.main(["check", "photos"])


@pytest.mark.parametrize(
    "words", [[], ["-m", "seed=1,2"], ["explain"], ["--help"], *([verb, "RUN"] for verb in cli.VERBS if verb != "ui")]
)
def test_a_current_folder_that_is_gone_is_one_line(
    words: list[str], empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / "here").mkdir()
    os.chdir(empty_folder / "here")
    (empty_folder / "here").rmdir()
    assert cli.main(words) == 2
    line = "the current folder is no longer there; go to another one (cd) and try again"
    assert capsys.readouterr().err == f"visrun: error: {line}\n"


@pytest.mark.parametrize(
    ("words", "place", "told"),
    [
        (["hydra.run.dir=caf\udce9"], ".", r"hydra.run.dir=caf\udce9: the name is not UTF-8; name another one"),
        (
            ["-m", "seed=1,2", "hydra.sweep.dir=caf\udce9"],
            ".",
            r"hydra.sweep.dir=caf\udce9: the name is not UTF-8; name another one",
        ),
        ([], "caf\udce9", r"caf\udce9: the name is not UTF-8; go to another one (cd)"),
    ],
    ids=["run", "sweep", "current"],
)
def test_a_folder_whose_name_is_no_text_is_one_line(
    words: list[str], place: str, told: str, empty_folder: Path
) -> None:
    (empty_folder / place).mkdir(exist_ok=True)
    done = command(*words, cwd=empty_folder / place)
    wrong = [line for line in done.stderr.splitlines() if not line.startswith("HEAVY")]
    assert done.returncode == 2
    assert len(wrong) == 1 and wrong[0].startswith("visrun: error: ") and wrong[0].endswith(told)


def test_every_problem_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lr=1", "momentum=2", "optimizer=adm"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("visrun: error: ") for line in lines)


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISRUN_DEBUG", "1")
    assert cli.main(["lr=1"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--nothing"], ["--cfg", "nothing"], ["--cfg"], *([verb, "RUN", "--nothing"] for verb in cli.VERBS)],
    ids=lambda item: " ".join(item),
)
def test_unknown_flags_are_refused_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("visrun: error: ") and err.count("\n") == 1
    assert words[-1] in err and " --help)" in err


@pytest.mark.parametrize("verb", cli.VERBS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_verb_says_how_it_is_used(verb: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, flag])
    assert not stop.value.code
    assert capsys.readouterr().out.startswith(f"usage: visrun {verb} ")


@pytest.mark.parametrize("words", [["help"], ["--help", "train"]], ids=" ".join)
def test_help_is_asked_for_in_any_way(words: list[str], empty_folder: Path) -> None:
    program = [sys.executable, "-m", "visrun", *words]  # Hydra sets up the logging of its process
    done = subprocess.run(program, cwd=empty_folder, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("visrun trains")
    assert all(f"\nvisrun {verb} " in done.stdout for verb in cli.VERBS)


@pytest.mark.parametrize("first", ["help", "-h", "--help"])
def test_help_of_a_verb_is_that_verbs(first: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([first, "predict"])
    assert not stop.value.code
    assert capsys.readouterr().out.startswith("usage: visrun predict ")


@pytest.mark.parametrize("verb", [name for name, verb in cli.VERBS.items() if not verb.flags])
@pytest.mark.parametrize("code", [0, "enough"])
def test_a_plugin_that_would_end_the_process_is_an_error_of_every_verb(
    verb: str, code: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(_: Sequence[str]) -> int:
        raise SystemExit(code)

    monkeypatch.setitem(cli.VERBS, verb, cli.VERBS[verb]._replace(main=leave))
    assert cli.main([verb, "RUN"]) == 1
    assert re.fullmatch(rf"visrun: error: SystemExit: {code} \(test_cli\.py, line \d+\)\n", capsys.readouterr().err)


def test_python_m_visrun_is_the_command(empty_folder: Path) -> None:
    program = [sys.executable, "-m", "visrun"]
    done = subprocess.run([*program, "--version"], cwd=empty_folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"visrun {visrun.__version__}\n")
    done = subprocess.run([*program, "lr=1"], cwd=empty_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("visrun: error: lr is no setting")


def test_resume_of_a_sweep_says_by_which_command_it_goes_on(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / "s1").mkdir()
    command = "visrun -m seed=1,2 hydra.sweeper.study_name=s1"
    (empty_folder / "s1" / ".lead.lock").write_text(json.dumps({"command": command, "cwd": "/home/anna"}))
    for words in (["s1"], ["s1", "max_epochs=6"]):
        assert cli.main(["resume", *words]) == 2
        assert capsys.readouterr().err == f"visrun: error: s1: a sweep; go on with it in /home/anna: {command}\n"


@pytest.mark.parametrize(
    ("model", "onward"),
    [
        ("resnet18", "visrun experiment=RUN model.weights=RUN max_epochs=6 trains on from its best weights"),
        ("patchcore", "visrun experiment=RUN/experiment.json max_epochs=6 begins anew"),
    ],
)
def test_resume_changes_no_setting_of_what_is_learnt(
    model: str, onward: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / "RUN" / "checkpoints").mkdir(parents=True)
    (empty_folder / "RUN" / "checkpoints" / "best.pt").touch()
    (empty_folder / "RUN" / "experiment.json").write_text(json.dumps({"model": {"name": model}}))
    assert cli.main(["resume", "RUN", "max_epochs=6"]) == 2
    may = "data.root, run.device, run.max_time, data.workers, data.cache, data.cache_gb, data.cache_dir or tracking.*"
    assert capsys.readouterr().err == f"visrun: error: resume changes nothing but {may}; {onward}\n"
    for words in (["run.device=gpu7"], ["run.devise=cpu"], ["run.device=cpu", "run.device=cpu"], ["experiment=RUN"]):
        assert cli.main(["resume", "RUN", *words]) == 2
        assert capsys.readouterr().err.startswith("visrun: error: ")


def test_resume_of_a_sweep_that_was_moved_goes_on_where_it_lies(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, command = "visrun -m seed=1,2", "visrun -m seed=1,2 hydra.sweep.dir=sweeps/s1"
    noted = {"command": command, "cwd": "/home/anna", "name": "s1"}
    folder = empty_folder / "my sweep"
    folder.mkdir()
    (empty_folder / "link").symlink_to(folder)
    for before, onward in (
        ("link", command),
        ("s1", f"{plain} 'hydra.sweep.dir='\"'\"'{folder}'\"'\"'' hydra.sweeper.study_name=s1"),
    ):
        (folder / ".lead.lock").write_text(json.dumps({**noted, "folder": str(empty_folder / before)}))
        assert cli.main(["resume", "my sweep"]) == 2
        told = f"visrun: error: my sweep: a sweep; go on with it in /home/anna: {onward}\n"
        assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("name", "target", "verb"), [(".lead.lock", "mine/x", "-m seed=0,1"), ("0/.hydra", "mine", "repeat seeds=2")]
)
def test_a_sweep_that_goes_on_writes_through_no_link(
    name: str, target: str, verb: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = empty_folder / "multirun" / "s" / name
    link.parent.mkdir(parents=True)
    (empty_folder / "mine").mkdir()
    link.symlink_to(empty_folder / target)
    (empty_folder / "it's").symlink_to("multirun/s")
    assert cli.main([*verb.split(), "tracking=none", "hydra.sweep.dir=it's"]) == 2
    assert capsys.readouterr().err.startswith(f"visrun: error: it's/{name}: a link that leads out of it's, ")
    assert list((empty_folder / "mine").iterdir()) == []


@pytest.mark.parametrize("words", [[], ["RUN", "OTHER"]])
def test_resume_takes_one_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["resume", *words]) == 2
    assert capsys.readouterr().err == "visrun: error: usage: visrun resume RUN [data.root=PATH] [run.device=cpu ...]\n"


def test_hydras_help_says_which_flags_visrun_refuses(empty_folder: Path) -> None:
    told = command("--hydra-help", cwd=empty_folder).stdout
    for name in launch.REFUSED:
        assert f"--{name.replace('_', '-')} is not taken; " in told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"visrun {visrun.__version__}\n"


def test_a_run_gets_a_folder_of_its_own_and_what_was_asked_for(empty_folder: Path) -> None:
    (empty_folder / "photos (1),b=c").mkdir()
    done = command("optimizer=sgd", "max_epochs=3", "data.root=photos (1),b=c", "recipe=quick", cwd=empty_folder)
    assert done.returncode == 0, done.stderr
    ((folder, *rest),) = [line.split(" ", 5)[1:] for line in done.stdout.splitlines() if line.startswith("RUN ")]
    assert rest == ["sgd", "0.01", str(empty_folder / "photos"), "(1),b=c quick"]
    assert Path(folder).parent.parent == empty_folder / "outputs"
    assert folder.endswith("_classification")
    config = (Path(folder) / ".hydra" / "config.yaml").read_text()
    assert "recipe: quick" in config
    assert "learning_rate: 0.01" in config
    notes = [line for line in done.stderr.splitlines() if line.startswith("visrun: ")]
    assert notes == [
        "visrun: optimizer=sgd brings its own learning_rate=0.01 and weight_decay=0.0001 "
        "(the optimizer of task=classification is adam)"
    ]


def test_two_runs_of_one_second_get_two_folders(empty_folder: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND], cwd=empty_folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    folders = {child.communicate()[0].split()[1] for child in children}
    assert [child.returncode for child in children] == [0, 0]
    assert len(folders) == 2


@pytest.mark.parametrize(("verb", "code"), [("explain", 1), ("--version", 0)])
def test_a_closed_output_loses_no_answer_silently(empty_folder: Path, verb: str, code: int) -> None:
    words = ["sh", "-c", f'"{sys.executable}" -m visrun {verb} >&-']
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, cwd=empty_folder, check=False)
    told = "visrun: error: standard output is closed, so that what explain prints is lost: redirect it into a file\n"
    assert (done.returncode, done.stderr) == (code, told if code else "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_the_output_is_one_line(empty_folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "visrun", "explain"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, cwd=empty_folder, check=False)
    assert (done.returncode, done.stderr) == (1, "visrun: error: no space left on the disk; make room and try again\n")


def test_a_typed_run_folder_wins(empty_folder: Path) -> None:
    done = command("hydra.run.dir=here (1)/a,b", cwd=empty_folder)
    assert "RUN " + str(empty_folder / "here (1)/a,b") in done.stdout
    assert not (empty_folder / "outputs").exists()


def test_a_run_folder_of_a_config_file_counts(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = (conf_dir() / "config.yaml").read_text()
    monkeypatch.setenv("HOME", str(empty_folder))
    (empty_folder / "conf").mkdir()
    (empty_folder / "conf" / "config.yaml").write_text(
        re.sub(r"dir: outputs/.*", r"dir: ~/mine/${task}_${seed}", shipped)
    )
    done = command("seed=3", cwd=empty_folder)
    assert "RUN " + str(empty_folder / "mine/classification_3") in done.stdout
    typed = command("hydra.run.dir=typed", cwd=empty_folder)
    assert "RUN " + str(empty_folder / "typed") in typed.stdout
    assert not (empty_folder / "outputs").exists()
    (empty_folder / "mine" / "classification_4").mkdir()
    (empty_folder / "mine" / "classification_4" / "experiment.json").write_text("{}")
    assert cli.main(["seed=4", "tracking=none"]) == 2
    assert "mine/classification_4: holds a run already" in capsys.readouterr().err


def test_a_run_folder_that_is_being_written_is_left_alone(
    empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(empty_folder / "w"):
        assert cli.main(["hydra.run.dir=w", "tracking=none"]) == 2
    told = f"hydra.run.dir=w: process {os.getpid()} is writing a run there; name another folder"
    assert capsys.readouterr().err == f"visrun: error: {told}\n"


@pytest.mark.parametrize("name", ["w", "a run (1)"])
def test_a_run_folder_that_holds_a_run_is_left_alone(
    name: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / name).mkdir()
    (empty_folder / name / "experiment.json").write_text("{}")
    assert cli.main([f"hydra.run.dir={name}", "data.root=nowhere", "tracking=none"]) == 2
    told = f"holds a run already; name another folder, or visrun resume {shlex.quote(name)}"
    assert capsys.readouterr().err == f"visrun: error: hydra.run.dir={name}: {told}\n"
    assert [file.name for file in (empty_folder / name).iterdir()] == ["experiment.json"]
    assert cli.main([f"hydra.run.dir={name}", "--cfg", "job"]) == 0  # a look writes nothing


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder that takes none, even of root")
@pytest.mark.parametrize(
    ("words", "key", "name"),
    [
        ([], "hydra.run.dir", "/proc/x"),
        ([], "hydra.run.dir", "/proc"),
        (["-m", "seed=1,2"], "hydra.sweep.dir", "/proc/x"),
        (["repeat"], "hydra.sweep.dir", "/proc/x"),
    ],
)
def test_a_folder_that_takes_no_files_is_one_line(
    words: list[str], key: str, name: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, f"{key}={name}", "tracking=none"]) == 2
    line = f"visrun: error: {key}={name}: cannot be written (No such file or directory); name another one"
    assert capsys.readouterr().err.splitlines()[-1] == line
    assert not list(empty_folder.iterdir())


@pytest.mark.parametrize("name", ["file", "file/run", "circle", "circle/run"])
def test_a_run_folder_that_is_none_is_one_line(
    name: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (empty_folder / "file").touch()
    (empty_folder / "circle").symlink_to("circle")
    assert cli.main([f"hydra.run.dir={name}", "tracking=none"]) == 2
    line = f"visrun: error: hydra.run.dir={name}: {Path(name).parts[0]} is no folder; name another one"
    assert capsys.readouterr().err.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("batch_size", "code", "told"),
    [(7, 1, "visrun: error: out of luck and lines\n"), (6, 1, "ZeroDivisionError: a fault"), (9, 130, "")],
)
def test_how_a_run_ends_is_the_exit_code(batch_size: int, code: int, told: str, empty_folder: Path) -> None:
    done = command(f"batch_size={batch_size}", cwd=empty_folder)
    assert done.returncode == code
    assert told in done.stderr
    assert ("Traceback" in done.stderr) == (batch_size == 6)
    assert "Error executing job" not in done.stderr


@pytest.mark.parametrize("words", [[], ["-m", "seed=1,2"]])
def test_a_run_whose_output_nobody_reads_has_failed(words: list[str], empty_folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-c", COMMAND, "batch_size=5", *words]
    done = subprocess.run(program, cwd=empty_folder, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "error" not in done.stderr
    assert done.stderr.count("visrun: nobody reads what is printed any more, so it ends here\n") == 1


def test_a_folder_that_hydra_refuses_to_fill_is_removed(empty_folder: Path) -> None:
    assert cli.main(["hydra.nothing=1"]) == 2
    assert not [path for path in empty_folder.rglob("*") if path.name.endswith("_classification")]


def test_a_sweep_runs_every_combination_as_resolved(empty_folder: Path) -> None:
    (empty_folder / "a (1),b").mkdir()
    words = ["optimizer=adam,sgd", "recipe=quick,fine_tune", "data.root=a (1),b"]
    done = command("-m", *words, "hydra/sweeper=basic", cwd=empty_folder)
    assert done.returncode == 0, done.stderr
    asked = [line.split(" ", 4)[2:] for line in done.stdout.splitlines() if line.startswith("RUN ")]
    root = empty_folder / "a (1),b"
    assert asked == [
        ["adam", "0.001", f"{root} quick"],
        ["adam", "0.001", f"{root} fine_tune"],
        ["sgd", "0.01", f"{root} quick"],
        ["sgd", "0.01", f"{root} fine_tune"],
    ]
    (sweep,) = (empty_folder / "multirun").glob("*/*")
    assert sorted(path.name for path in sweep.iterdir()) == ["0", "1", "2", "3", "multirun.yaml"]
    config = (sweep / "3" / ".hydra" / "config.yaml").read_text()
    assert "recipe: fine_tune" in config
    assert "learning_rate: 0.01" in config
    assert "max_epochs: 30" in config


def test_a_failing_job_does_not_end_the_sweep(empty_folder: Path) -> None:
    done = command("-m", "batch_size=7,8", "hydra/sweeper=basic", cwd=empty_folder)
    assert done.returncode == 1
    assert len(runs(done)) == 1
    assert done.stderr.splitlines()[-2] == "visrun: error: out of luck and lines"


def test_a_stopped_job_ends_the_sweep(empty_folder: Path) -> None:
    done = command("-m", "batch_size=9,8", "hydra/sweeper=basic", cwd=empty_folder)
    assert done.returncode == 130
    assert len(runs(done)) == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--cfg", "job", "task=segmentation", "optimizer=sgd", "scheduler=poly"], "task: segmentation"),
        (["--cfg", "job", "-p", "augment", "augment=strong"], "mixup: 0.2"),
        (["--cfg", "hydra"], "dir: multirun/"),
        (["--cfg", "job", "--resolve"], "max_epochs: 50"),
        (["--info"], "Config search path"),
        (["--info", "defaults"], "task_optimizer/classification_adam"),
        (["--help"], "visrun resume RUN"),
        (["--hydra-help"], "--shell-completion"),
        (["-sc", "install=bash"], "hydra_bash_completion"),
        (["explain"], "learning_rate"),
    ],
    ids=lambda item: "".join(item),
)
def test_looking_needs_nothing_heavy(words: list[str], shown: str, empty_folder: Path) -> None:
    done = command(*words, cwd=empty_folder)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
    assert "HEAVY []" in done.stderr
    assert not list(empty_folder.iterdir())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("visrun optimizer=", ["optimizer=adam", "optimizer=adamw", "optimizer=sgd"]),
        ("visrun explain --json task=regression optimizer=sg", ["optimizer=sgd"]),
        ("visrun ch", ["check"]),
        ("visrun re", ["repeat", "resume", "recipe="]),
    ],
)
def test_shell_completion_knows_the_options_and_the_verbs(line: str, offered: list[str], empty_folder: Path) -> None:
    done = command("-sc", "query=bash", cwd=empty_folder, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert (done.returncode, done.stdout.split()) == (0, offered)


def test_a_users_conf_and_config_dir_go_before_visruns(empty_folder: Path) -> None:
    for place, lr in (("conf", 0.5), ("mine", 0.25)):
        (empty_folder / place / "optimizer").mkdir(parents=True)
        (empty_folder / place / "optimizer" / "sgd.yaml").write_text(
            f"# @package _global_\noptimizer: sgd\nlearning_rate: {lr}\n"
        )
    assert "learning_rate: 0.5" in command("--cfg", "job", "optimizer=sgd", cwd=empty_folder).stdout
    done = command("--cfg", "job", "optimizer=sgd", "--config-dir", "mine", cwd=empty_folder)
    assert "learning_rate: 0.25" in done.stdout
    swept = command("-m", "optimizer=sgd,adam", "--config-dir=mine", "hydra/sweeper=basic", cwd=empty_folder)
    assert [run[2] for run in runs(swept)] == ["0.25", "0.001"]


def test_what_cfg_shows_is_what_explain_says(empty_folder: Path) -> None:
    words = ["task=segmentation", "optimizer=adamw", "max_epochs=7", "milestones=[2,3]", "data.root=a b"]
    shown = command("--cfg", "job", *words, cwd=empty_folder).stdout
    told = json.loads(command("explain", "--json", *words, cwd=empty_folder).stdout)["hyperparameters"]
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(OmegaConf.create(shown))
    assert isinstance(config, dict)
    assert {key: config[key] for key in told} == told
    assert config["data"]["root"] == str(empty_folder / "a b")


@pytest.mark.parametrize(("number", "code"), EXIT_CODES.items())
def test_a_verb_that_a_signal_ends_cleans_up(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    def verb(_words: list[str]) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            left.append("the bar is taken away")
        return 0

    monkeypatch.setattr(cli, "load", lambda _main: verb)
    former = signal.signal(number, lambda *_: pytest.fail("nobody answered the signal"))  # ignored under nohup
    try:
        assert (cli.main(["evaluate", "RUN"]), left) == (code, ["the bar is taken away"])
    finally:
        signal.signal(number, former)


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (KeyboardInterrupt(), "visrun: stopped\n"),
        (Interrupted(130), "visrun: stopped\n"),
        (Interrupted(130, said=True), ""),
    ],
)
def test_whoever_is_stopped_is_told_once(
    raised: KeyboardInterrupt, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_train", Mock(side_effect=raised))
    assert (cli.main(["seed=1"]), capsys.readouterr()) == (130, ("", line))
    monkeypatch.setattr(cli, "main", Mock(side_effect=KeyboardInterrupt))  # as while it is being imported
    assert (program.main(), capsys.readouterr()) == (130, ("", "visrun: stopped\n"))


@pytest.mark.parametrize("verb", ["resume", "repeat"])
def test_a_verb_that_trains_answers_signals_itself(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its run does, one ends the process at once, which the page tells from a run that was saved."""
    monkeypatch.setattr(
        cli, "load", lambda _main: lambda _words: int(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
    )
    assert cli.main([verb, "RUN"]) == 1


def test_verbs_go_to_their_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("visrun.run.resume", lambda folder, values: asked.append((folder, values)) or 0)
    monkeypatch.setattr("visrun.predict.main", lambda words: asked.append(words) or 3)
    monkeypatch.setattr("visrun.evaluate.main", lambda words: asked.append(words) or 4)
    assert cli.main(["resume", "outputs/a b"]) == 0
    assert cli.main(["resume", "outputs/a b/experiment.json", "data.root=/my/data", "tracking=none"]) == 0
    assert cli.main(["predict", "RUN", "a.jpg"]) == 3
    assert cli.main(["evaluate", "RUN"]) == 4
    resumed = [(Path("outputs/a b"), {}), (Path("outputs/a b"), {"data.root": "/my/data", "tracking.name": "none"})]
    assert asked == [*resumed, ["RUN", "a.jpg"], ["RUN"]]


@pytest.mark.parametrize("words", [["--version"], ["explain"], ["optimizer=adm"]])
def test_windows_is_told_where_visrun_runs(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert cli.main(words) == 2
    line = "visrun runs on Linux; on Windows, install and start it in WSL 2"
    assert capsys.readouterr() == ("", f"visrun: error: {line}\n")
    for name in visrun.__all__:
        with pytest.raises(UserError) as caught:
            getattr(visrun, name)
        assert str(caught.value) == line


def test_the_command_comes_so_far_without_what_windows_lacks() -> None:
    program = """
import os, signal, sys
sys.modules["fcntl"] = None
del signal.SIGHUP, signal.SIGKILL, os.getuid
from visrun.cli import main
sys.platform = "win32"
sys.exit(main([]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.endswith("WSL 2\n") and done.stderr.count("\n") == 1


def test_behind_another_tools_verb_all_settings_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "imgsz=64", "--fast", "max_epochs=0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "visrun: error: train is no verb of visrun; write visrun data.root=PATH",
        "visrun: error: imgsz is no setting (did you mean data.image_size?)",
        "visrun: error: max_epochs=0: must be an integer from 1 to 1000",
    ]
