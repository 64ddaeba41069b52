import pytest

from visrun.patience import epochs_waited


@pytest.mark.parametrize(
    ("epoch", "best", "lowest", "warmup", "waited"),
    [(0, 0, 0, 0, 0), (3, 0, 0, 0, 3), (7, 4, 5, 0, 2), (7, 5, 4, 0, 2), (7, 1, 1, 6, 1), (2, 1, 1, 5, 0)],
)
def test_counts_from_the_latest_improvement_and_not_in_the_warm_up(epoch, best, lowest, warmup, waited):
    assert epochs_waited(epoch, best_epoch=best, lowest_epoch=lowest, warmup_epochs=warmup) == waited
