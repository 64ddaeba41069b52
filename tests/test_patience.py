import pytest

from visrun.patience import epochs_waited, is_better


@pytest.mark.parametrize(
    ("epoch", "best", "lowest", "warmup", "waited"),
    [(0, 0, 0, 0, 0), (3, 0, 0, 0, 3), (7, 4, 5, 0, 2), (7, 5, 4, 0, 2), (7, 1, 1, 6, 1), (2, 1, 1, 5, 0)],
)
def test_counts_from_the_latest_improvement_and_not_in_the_warm_up(epoch, best, lowest, warmup, waited):
    assert epochs_waited(epoch, best_epoch=best, lowest_epoch=lowest, warmup_epochs=warmup) == waited


@pytest.mark.parametrize(
    ("value", "best", "maximize", "expected"),
    [
        (1.0, None, True, True), (1.0, 1.0, True, False), (1.1, 1.0, True, True), (0.9, 1.0, False, True),
        (0.9, 1.0, True, False), (None, None, True, False), (float("nan"), None, False, False),
    ],
)  # fmt: skip
def test_is_better(value: float | None, best: float | None, maximize: bool, expected: bool) -> None:
    assert is_better(value, best, maximize=maximize) is expected
