import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from visrun.signals import AGAIN, Interrupted, asked, heed, pause, stop_on_signals


@pytest.fixture(autouse=True)
def without_nohup():
    """The tests themselves may run where a closed terminal is ignored, which a process inherits."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


def test_where_nothing_has_to_be_saved_a_signal_raises():
    with pytest.raises(Interrupted) as error, stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert error.value.exit_code == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_sets_a_flag_and_handlers_come_back(number, code):
    former = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.deferred = True
        assert stop.exit_code is None
        os.kill(os.getpid(), number)
        assert stop.exit_code == code
    assert signal.getsignal(number) is former


@pytest.mark.parametrize(("apart", "ends"), [(AGAIN + 0.1, True), (0.0, False)])
def test_the_second_signal_ends_the_process_at_once_where_it_is_no_echo(apart, ends):
    program = (
        "import os, signal, sys, time\n"
        "from visrun.signals import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    stop.deferred = True\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(float(sys.argv[1]))\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here')\n"
    )
    command = [sys.executable, "-c", program, str(apart)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == ((143, "ended at once\n") if ends else (0, "still here\n"))


def test_the_second_signal_says_what_goes_on_before_it_ends_the_process():
    program = (
        "import os, signal, time\n"
        "from visrun.signals import AGAIN, stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    stop.deferred, stop.last = True, 'ended at once; go on with: it'\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(AGAIN + 0.1)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (130, "ended at once; go on with: it\n")


@pytest.mark.parametrize("terminal", [False, True])
def test_the_first_signal_says_at_once_what_will_happen(terminal):
    program = (
        "import os, signal\n"
        "from visrun.signals import stop_on_signals\n"
        "with stop_on_signals('stopping: soon') as stop:\n"
        "    stop.deferred = True\n"
        "    os.write(1, b'a bar')\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    mine, theirs = os.openpty() if terminal else os.pipe()
    subprocess.run([sys.executable, "-c", program], stdout=theirs, timeout=60, check=True)
    os.close(theirs)
    said = os.read(mine, 1000)
    os.close(mine)
    assert said == (b"a bar\r\x1b[2Kstopping: soon\r\n" if terminal else b"a barstopping: soon\n")


def test_a_closed_terminal_asks_to_stop_and_what_is_printed_to_it_is_no_error():
    ours, theirs = os.openpty()
    program = (
        "import fcntl, sys, termios\n"
        "from visrun.signals import stop_on_signals\n"
        "fcntl.ioctl(1, termios.TIOCSCTTY)\n"
        "with stop_on_signals() as stop:\n"
        "    stop.deferred = True\n"
        "    print('begun', flush=True)\n"
        "    while stop.exit_code is None:\n"
        "        pass\n"
        "    print('saved', flush=True)\n"
        "sys.exit(stop.exit_code)\n"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    assert b"begun" in os.read(ours, 100)
    os.close(ours)
    try:
        assert process.wait(timeout=60) == 129
    finally:
        process.kill()


def test_under_nohup_a_closed_terminal_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_on_signals() as stop:
        stop.deferred = True
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.exit_code is None


def test_outside_the_main_thread_nothing_is_installed():
    seen = []

    def body():
        with stop_on_signals() as stop:
            seen.append(stop.exit_code)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [None]


class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_was_swallowed_is_said_again_by_the_next_within():
    with stop_on_signals() as stop:
        Freed()
        assert asked() == stop.exit_code == 143
        with pytest.raises(Interrupted) as error, stop_on_signals():
            pytest.fail("it went on")
        assert error.value.exit_code == 143
        with pytest.raises(Interrupted):
            heed()
    assert asked() is None
    heed()
    with stop_on_signals() as later:
        assert later.exit_code is None


def test_a_pause_ends_where_a_signal_asks_to_stop():
    with stop_on_signals() as stop:
        stop.deferred = True
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        pause(60)
        assert 0.1 < time.monotonic() - began < 30
        assert stop.exit_code == 130
    began = time.monotonic()
    pause(0.25)
    assert time.monotonic() - began >= 0.25
