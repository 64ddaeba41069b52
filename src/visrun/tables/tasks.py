"""The tasks, with their metrics and losses."""

from __future__ import annotations

import math

from visrun.tables.entries import SHARES, TaskEntry

OBJECTS = ("map", "map50", "map75", "map_small", "map_medium", "map_large", "ar100")


def more(*metrics: str) -> dict[str, bool]:
    """Metrics of which more is better."""
    return dict.fromkeys(metrics, True)


TASKS: dict[str, TaskEntry] = {
    "classification": TaskEntry(
        build="visrun.tasks.classification:Classification",
        metrics={**more("accuracy", "top5", "precision", "recall", "f1", "f1_max", "auroc", "map"), "ece": False},
        others={"threshold": None},
        usual=SHARES,
        losses={
            "cross_entropy": "visrun.losses:cross_entropy",
            "label_smoothing": "visrun.losses:label_smoothing",
            "focal": "visrun.losses:focal",
            "bce": "visrun.losses:bce",
        },
        fit="crop",
        image_size=224,
        target="label",
        threshold="a label is reported, where an image may have several",
        class_threshold="an image is called CLASS",
        outputs=("image",),
    ),
    "anomaly_detection": TaskEntry(
        build="visrun.tasks.anomaly_detection:AnomalyDetection",
        metrics=more(
            *("auroc", "average_precision", "f1_max", "auroc_softmax", "auroc_density"),
            *("pixel_auroc", "pixel_average_precision", "pixel_f1_max", "aupro"),
        ),
        others={"false_positive_rate": False, "threshold": None, "pixel_threshold": None},
        by_pixel=("pixel_auroc", "pixel_average_precision", "pixel_f1_max", "pixel_f1", "aupro"),
        usual=SHARES,
        ranges=dict.fromkeys(("threshold", "pixel_threshold"), (0.0, math.inf)),
        losses={
            "cross_entropy": "visrun.anomaly.losses:cross_entropy",
            "focal": "visrun.anomaly.losses:focal",
            "bce": "visrun.anomaly.losses:bce",
        },
        fit="letterbox",
        image_size=256,
        target="verdict",
        threshold="an image is called a defect",
        spoil="visrun.data.defects:spoil",
        outputs=("image", "pixel", "score"),
    ),
    "object_detection": TaskEntry(
        build="visrun.tasks.object_detection:ObjectDetection",
        metrics=more(*OBJECTS),
        usual=SHARES,
        losses={
            "default": "visrun.detection.losses:default",
            "giou": "visrun.detection.losses:giou",
            "ciou": "visrun.detection.losses:ciou",
            "diou": "visrun.detection.losses:diou",
            "iou": "visrun.detection.losses:iou",
            "smooth_l1": "visrun.detection.losses:smooth_l1",
        },
        fit="zoom",
        image_size=640,
        target="boxes",
        threshold="an object is reported",
        scratch="detection_scratch",
    ),
    "oriented_object_detection": TaskEntry(
        build="visrun.tasks.oriented_object_detection:OrientedObjectDetection",
        metrics=more("map50", "map", "map75", "dota_map50", "probiou_map", "probiou_map50"),
        usual=SHARES,
        losses={
            "default": "visrun.detection.losses:default_rotated",
            "rotated_iou": "visrun.detection.losses:rotated_iou",
            "kld": "visrun.detection.losses:kld",
            "smooth_l1": "visrun.detection.losses:smooth_l1_rotated",
        },
        fit="zoom",
        image_size=640,
        target="rotated_boxes",
        threshold="an object is reported",
        scratch="oriented_scratch",
    ),
    "instance_segmentation": TaskEntry(
        build="visrun.tasks.instance_segmentation:InstanceSegmentation",
        metrics=more(*OBJECTS, "box_map", "box_map50"),
        usual=SHARES,
        losses={
            "default": "visrun.detection.losses:default_mask",
            "dice": "visrun.detection.losses:dice_mask",
            "bce": "visrun.detection.losses:bce_mask",
            "focal": "visrun.detection.losses:focal_mask",
        },
        fit="zoom",
        image_size=640,
        target="instances",
        threshold="an object is reported",
        scratch="instance_scratch",
    ),
    "segmentation": TaskEntry(
        build="visrun.tasks.segmentation:Segmentation",
        metrics=more("miou", "dice", "pixel_accuracy"),
        by_pixel=("miou", "dice", "pixel_accuracy", "iou"),
        usual=SHARES,
        losses={
            "ce_dice": "visrun.losses:ce_dice",
            "cross_entropy": "visrun.losses:pixel_cross_entropy",
            "dice": "visrun.losses:dice",
            "focal": "visrun.losses:pixel_focal",
        },
        fit="zoom",
        image_size=512,
        target="mask",
        outputs=("pixel",),
    ),
    "regression": TaskEntry(
        build="visrun.tasks.regression:Regression",
        metrics={"mae": False, "rmse": False, "r2": True},
        ranges={"mae": (0.0, math.inf), "rmse": (0.0, math.inf), "r2": (-math.inf, 1.0)},
        losses={
            "mse": "visrun.losses:mse",
            "mae": "visrun.losses:mae",
            "huber": "visrun.losses:huber",
            "smooth_l1": "visrun.losses:smooth_l1",
        },
        fit="letterbox",
        image_size=224,
        target="value",
        outputs=("image",),
    ),
}
