import errno
import io
import logging
import os
import subprocess
import sys

import pytest

from visrun.console import Screen, epoch_line, logged
from visrun.errors import VisrunError

TERMINAL = {**os.environ, "TERM": "xterm"}
ROW = {"loss": 0.5, "val_loss": 0.25, "accuracy": 0.9, "learning_rate": 1e-3}


def test_an_epoch_is_one_line_with_a_star_for_a_new_best():
    line = epoch_line(3, 50, ROW, monitor="accuracy", speed=1234.5, improved=True, widths={})
    assert line == "epoch  3/50  loss 0.5000  val_loss 0.2500  accuracy 0.9000 *  lr 1.00e-03  1,234 images/s"
    assert "*" not in epoch_line(3, 50, ROW, monitor="accuracy", speed=1.0, improved=False, widths={})


def test_small_and_large_numbers_are_told_and_columns_stay_in_line():
    widths: dict[str, int] = {}
    rows = [{"loss": loss, "mae": mae} for loss, mae in ((0.9707, 4.1324e-8), (2e4 / 3, 1e-7 / 3), (0.00091234, 0.0))]
    rows.append({"loss": 0.0011, "mae": 0.5})
    lines = [epoch_line(1, 9, row, monitor="mae", speed=None, improved=True, widths=widths) for row in rows]
    assert lines == [
        "epoch 1/9  loss 0.9707  mae 4.132e-08 *",
        "epoch 1/9  loss   6667  mae 3.333e-08 *",
        "epoch 1/9  loss 0.0009123  mae    0.0000 *",
        "epoch 1/9  loss    0.0011  mae    0.5000 *",
    ]


def test_an_undefined_metric_leaves_its_place_out():
    row = {"loss": 0.5, "learning_rate": 1e-3}
    assert "accuracy" not in epoch_line(1, 1, row, monitor="accuracy", speed=1.0, improved=False, widths={})


def test_without_steps_there_is_no_speed():
    line = epoch_line(3, 3, ROW, monitor="accuracy", speed=None, improved=False, widths={})
    assert line.endswith("lr 1.00e-03")


def test_text_is_printed_as_it_is_and_logged(capsys, tmp_path):
    with logged(tmp_path / "visrun.log"):
        Screen().say("[bold]a class name[/bold] 100%")
        Screen(stderr=True).warn("mind [this]")
        logging.getLogger("some.library").warning("and that")
    out, err = capsys.readouterr()
    assert out == "[bold]a class name[/bold] 100%\n" and err == "warning: mind [this]\n"
    text = (tmp_path / "visrun.log").read_text()
    assert "INFO visrun: [bold]a class name[/bold] 100%\n" in text and "WARNING visrun: mind [this]\n" in text
    assert "WARNING some.library: and that\n" in text
    Screen().say("after")
    assert "after" not in (tmp_path / "visrun.log").read_text()


def test_a_log_that_cannot_be_written_hides_no_error(tmp_path, capsys):
    (tmp_path / "visrun.log").symlink_to("/dev/full")
    with pytest.raises(VisrunError, match=r"^last\.pt: disk full$"), logged(tmp_path / "visrun.log"):
        logging.getLogger("visrun").info("lost")
        raise VisrunError("last.pt: disk full")
    assert capsys.readouterr().err == ""


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(VisrunError, match=r"^/.*: cannot write \(Is a directory\)$"), logged(tmp_path):
        pass


def test_without_a_log_a_warning_is_printed_once():
    program = "from visrun.console import Screen; Screen(stderr=True).warn('mind this')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: mind this\n"


def test_names_that_are_no_text_are_logged(tmp_path):
    program = (
        "import logging; from pathlib import Path; from visrun.console import logged\n"
        "with logged(Path('visrun.log')):\n"
        "    logging.getLogger('visrun').info('caf\\udce9.png is broken')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert r"caf\udce9.png is broken" in (tmp_path / "visrun.log").read_text()


def test_a_count_that_begins_anew_has_a_pace_of_its_own():
    screen = Screen(quiet=True)
    screen.live = True
    screen.progress("epoch 1/2", 4, 4)
    assert screen.bar.tasks[0].finished
    screen.drawn = 0.0
    screen.progress("epoch 1/2: validating", 0, 4)
    task = screen.bar.tasks[0]
    assert (task.finished, task.completed, task.description) == (False, 0, "epoch 1/2: validating")
    screen.end_progress()


def test_what_is_not_counted_is_told_at_once_and_has_no_total():
    screen = Screen(quiet=True)
    screen.live = True
    for title, done, total in (("reading labels", 0, 0), ("checking files", 4, 4), ("checking labels", 0, 0)):
        screen.progress(title, done, total)
        task = screen.bar.tasks[0]
        assert (task.description, task.completed, task.total) == (title, done, total or None)
        assert task.finished == (total > 0)
        assert task.fields["count"] == (f"{done}/{total}" if total else "")
    screen.end_progress()


def test_off_a_terminal_there_is_no_bar(capsys):
    screen = Screen()
    for done in range(5):
        screen.progress("decoding", done, 4)
    screen.end_progress()
    assert capsys.readouterr().out == ""


SHOWN = """
from visrun.console import Screen
screen = Screen()
screen.progress('epoch 1/2', 1, 4)
screen.progress('epoch 1/2', 4, 4)
screen.end_progress()
screen.say('done')
"""


def shown_on(terminal):
    """All that SHOWN writes to a terminal of that kind."""
    mine, theirs = os.openpty()
    environment = {**os.environ, "TERM": terminal, "COLUMNS": "100"}
    subprocess.run([sys.executable, "-c", SHOWN], stdout=theirs, env=environment, timeout=60, check=True)
    os.close(theirs)
    seen = os.read(mine, 65536).decode()
    os.close(mine)
    return seen


def test_on_a_terminal_the_bar_moves_and_goes_away():
    seen = shown_on("xterm")
    assert "epoch 1/2" in seen and "4/4" in seen
    assert seen.rstrip().endswith("done")


def test_a_terminal_that_cannot_take_a_line_back_gets_no_bar():
    assert shown_on("dumb") == "done\r\n"


GONE = """
import sys
from pathlib import Path
from visrun.console import Screen

screen = Screen()
screen.progress("epoch 1", 1, 2)
print("begun", file=sys.__stderr__, flush=True)  # sys.stderr is where the bar is
sys.stdin.readline()
screen.progress("epoch 1", 2, 2)
screen.end_progress()
screen.say("said to nobody")
print("nor this", flush=True)
print("done", file=sys.__stderr__)
"""


def test_a_run_outlives_a_terminal_that_is_closed_without_a_word():
    """As a disowned job's is; what does not go there is still written."""
    ours, theirs = os.openpty()
    command, pipe = [sys.executable, "-c", GONE], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=theirs, stderr=pipe, text=True, env=TERMINAL) as process:
        os.close(theirs)
        assert process.stderr.readline() == "begun\n"
        os.close(ours)
        _, told = process.communicate("\n", timeout=60)
    assert (process.returncode, told) == (0, "done\n")


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left")


def test_a_disk_that_is_full_is_still_told():
    screen = Screen()
    screen.console.file = Full()
    with pytest.raises(OSError, match="No space left"):
        screen.say("lost")
