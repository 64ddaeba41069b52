"""Whether a server that takes long is still there: a large file may take its time, of a dead server nothing is."""

from __future__ import annotations

import threading
import time

from visrun.tracking.uris import probe

QUIET_SECONDS, ANSWER_SECONDS = 2.0, 3.0  # without an answer until it is asked, and then until it is taken for dead


class Pulse:
    """Asks a web server now and then; other stores are taken for alive.

    Args:
        uri: Of the store.
    """

    def __init__(self, uri: str) -> None:
        self.uri, self._heard = uri, 0.0

    def stopped(self, since: float) -> bool:
        """Whether a server that has been silent ``since`` a time of the monotonic clock answers nothing else either.

        Takes ``ANSWER_SECONDS`` where it does not, and otherwise as long as its answer.
        """
        if time.monotonic() - max(since, self._heard) < QUIET_SECONDS:
            return False
        answered = threading.Event()
        thread = threading.Thread(target=self._ask, args=(answered,), name="visrun-pulse", daemon=True)
        thread.start()
        thread.join(ANSWER_SECONDS)  # looking up a name knows no limit of its own
        self._heard = time.monotonic()
        return not answered.is_set()

    def _ask(self, answered: threading.Event) -> None:
        try:
            probe(self.uri, ANSWER_SECONDS)
        except ConnectionError:
            return
        answered.set()
