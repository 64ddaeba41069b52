"""What is said of many trials at once."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState, create_trial

from visrun.sweep.trials import too_many_failed


@pytest.mark.parametrize(
    ("failed", "n_trials", "rate", "over"),
    [
        (0, 10, 0.0, False), (1, 10, 0.0, True), (4, 10, 0.5, False), (5, 10, 0.5, True), (9, 10, 1.0, False),
        (10, 10, 1.0, True), (0, 1, 0.5, False),
    ],
)  # fmt: skip
def test_too_many_failed(failed: int, n_trials: int, rate: float, over: bool) -> None:
    trials = [create_trial(state=TrialState.FAIL)] * failed + [create_trial(state=TrialState.PRUNED)] * 3
    assert too_many_failed(trials, n_trials=n_trials, max_failure_rate=rate) is over
