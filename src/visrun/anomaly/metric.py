"""Metrics of anomaly detection: how well scores tell defective images apart, and heat maps the defects in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visrun.anomaly import truth
from visrun.anomaly.curves import Counts, Floats, Pixels, counts, reaching, sampled
from visrun.batch import Batch, Prediction
from visrun.data.placement import Scene
from visrun.data.verdicts import CLASSES
from visrun.tables.entries import SYNTHETIC

NEARER = 0.1  # made defects are bolder than real ones, so the threshold lies nearer to the good images
OTHERS = ("softmax", "density")  # scores of an image classifier beside the one that counts


class AnomalyMetric:
    """Of images: ``auroc``, ``average_precision``, ``f1_max``; at the threshold that was chosen on the validation split
    ``f1``, ``recall``, ``false_positive_rate``, and ``recall/KIND`` of each kind of defect, where kinds are told; an
    image classifier's other scores as ``auroc_softmax``, ``auroc_density``.

    Where there are heat maps and masks: ``pixel_auroc``, ``pixel_average_precision``, ``aupro``, ``pixel_f1_max``, and
    ``pixel_f1`` at the chosen threshold. ``threshold`` and ``pixel_threshold`` are those that were chosen; while none
    are, the best of this split.

    Where defects were made all names begin with ``synthetic_``. What is undefined is left out.

    Args:
        chosen: Gives the threshold, None while there is none.
        pixel_chosen: Likewise that of heat.
    """

    def __init__(
        self,
        chosen: Callable[[], float | None] = lambda: None,
        pixel_chosen: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.chosen, self.pixel_chosen = chosen, pixel_chosen
        self.reset()

    def reset(self, scenes: Sequence[Scene] = ()) -> None:
        """Forget all samples; the truth of a scene is a `visrun.data.verdicts.Verdict`."""
        self._kinds = [scene.truth.kind for scene in scenes]
        self._rows: list[Prediction] = []  # but for maps it stays on the device, so that nothing waits for it

    def update(self, prediction: Prediction, batch: Batch) -> None:
        """Add ``score`` (B,) and, as far as they are there, ``heat`` (B, H, W) and other scores (B,);
        ``batch.target`` is (B, H, W) codes."""
        kept = {name: values.detach().float() for name, values in prediction.items()}
        kept |= {"index": batch.index} if self._kinds else {}
        kept |= {"valid": batch.valid, "defective": truth.defective(batch.target), "made": truth.made(batch.target)}
        if "heat" in kept:  # of a whole split the maps would fill a GPU
            known = batch.valid & truth.placed(batch.target)
            marks = truth.pixels(batch.target).to(torch.uint8)
            kept |= {"heat": kept["heat"][known].cpu(), "marks": marks[known].cpu()}
        self._rows.append(kept)

    def compute(self) -> dict[str, float]:
        """The values, without those that are undefined; none where a score is no number."""
        scores, truly = self.scores()
        if not len(scores) or not np.isfinite(scores).all():
            return {}
        defective, made = truly > 0, self._all("made") > 0
        values = self._of_images(scores, defective, place=NEARER if made.any() else 0.5)
        values |= {f"auroc_{name}": counts(self._all(name), defective).auroc() for name in OTHERS if self._has(name)}
        values |= self._of_pixels() if self._has("heat") else {}
        prefix = SYNTHETIC if made.any() else ""
        found = {f"{prefix}{name}": value for name, value in values.items() if math.isfinite(value)}
        return found | ({} if made.any() else self._by_kind(scores, defective))

    def _of_images(self, scores: Floats, defective: NDArray[np.bool_], *, place: float) -> dict[str, float]:
        values = {}
        chosen, found = self.chosen(), counts(scores, defective)
        if found.positives and found.negatives:
            f1, best = found.best_f1(place=place)
            values = {"auroc": found.auroc(), "average_precision": found.average_precision(), "f1_max": f1}
            values["threshold"] = best if chosen is None else chosen
        if chosen is not None:
            values["f1"] = found.f1_at(chosen)
            values["recall"] = reaching(scores[defective], chosen)
            values["false_positive_rate"] = reaching(scores[~defective], chosen)
        return values

    def _by_kind(self, scores: Floats, defective: NDArray[np.bool_]) -> dict[str, float]:
        chosen = self.chosen()
        if chosen is None or not self._kinds:
            return {}
        kinds = np.array(self._kinds)[self._all("index").astype(np.int64)]
        return {f"recall/{kind}": reaching(scores[kinds == kind], chosen) for kind in np.unique(kinds[defective])}

    def scores(self) -> tuple[Floats, Floats]:
        """(N,) the score of every image, and 1 for a defective one, 0 for a good one."""
        if not self._rows:
            return np.zeros(0), np.zeros(0)
        return self._all("score"), self._all("defective")

    def by_image(self) -> list[dict[str, Any]]:
        """Of each image its kind and score, and as its ``error`` the share of the images of the other side, good or
        defective, that lie on the wrong side of it; as their mean AUROC has it, ties count half.

        Where a threshold is chosen also what the image is called by it, and as ``margin`` how far on the right side of
        it the score lies."""
        scores, truly = self.scores()
        defective = truly > 0
        errors = np.where(defective, _below(-scores[~defective], -scores), _below(scores[defective], scores))
        kinds = [CLASSES[int(one)] for one in defective]
        if self._kinds:
            kinds = [self._kinds[row] for row in self._all("index").astype(np.int64)]
        rows = zip(errors.tolist(), kinds, scores.tolist(), strict=True)
        found = [{"error": error, "true": kind, "score": score} for error, kind, score in rows]
        if (chosen := self.chosen()) is None:
            return found
        margins = np.where(defective, scores - chosen, chosen - scores).tolist()
        called = [{"label": CLASSES[int(score >= chosen)]} for score in scores]
        return [one | said | {"margin": gap} for one, said, gap in zip(found, called, margins, strict=True)]

    def counts(self) -> dict[str, Counts]:
        """Of the one score how many images of each kind reach every threshold, under no name."""
        scores, truly = self.scores()
        return {"": counts(scores, truly > 0)}

    def _has(self, name: str) -> bool:
        return name in self._rows[0]

    def _all(self, name: str) -> Floats:
        return np.asarray(torch.cat([row[name][row["valid"]] for row in self._rows]).double().cpu())

    def _maps(self, name: str) -> list[Any]:
        """(h, w) each, of the samples of which it is known where their defects are."""
        return [one for row in self._rows for one in np.asarray(row[name])]

    def _of_pixels(self) -> dict[str, float]:
        heat, marks = (self._maps(name) for name in ("heat", "marks"))
        if not any((mark == 1).any() for mark in marks):
            return {}
        chosen = self.pixel_chosen()
        inside = sampled([one[mark == 1] for one, mark in zip(heat, marks, strict=True)])
        pixels = Pixels(sampled(heat), inside, asked=() if chosen is None else (chosen,))
        for one, mark in zip(heat, marks, strict=True):
            pixels.add(one, mark)
        found = pixels.counts()
        f1, best = found.best_f1()
        return {
            "pixel_auroc": found.auroc(),
            "pixel_average_precision": found.average_precision(),
            "aupro": pixels.aupro(),
            "pixel_f1_max": f1,
            "pixel_threshold": best if chosen is None else chosen,
            "pixel_f1": math.nan if chosen is None else found.f1_at(chosen),
        }


def _below(others: Floats, scores: Floats) -> Floats:
    """For each score the share of the ``others`` that are lower, ties counting half; 0 where there are none."""
    ranked = np.sort(others)
    lower = np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
    return np.asarray(lower / (2 * max(1, len(ranked))), np.float64)
