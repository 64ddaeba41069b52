import os
import signal
import subprocess
import sys
import threading

import pytest

from visrun.signals import Interrupted, stop_on_signals


def test_where_nothing_has_to_be_saved_a_signal_raises():
    with pytest.raises(Interrupted) as error, stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert error.value.exit_code == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_sets_a_flag_and_handlers_come_back(number, code):
    former = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.deferred = True
        assert stop.exit_code is None
        os.kill(os.getpid(), number)
        assert stop.exit_code == code
    assert signal.getsignal(number) is former


def test_the_second_signal_ends_the_process_at_once():
    program = (
        "import os, signal\n"
        "from visrun.signals import stop_on_signals\n"
        "with stop_on_signals() as stop:\n"
        "    stop.deferred = True\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (143, "")


def test_outside_the_main_thread_nothing_is_installed():
    seen = []

    def body():
        with stop_on_signals() as stop:
            seen.append(stop.exit_code)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [None]
