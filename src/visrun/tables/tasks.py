"""The tasks, with their losses."""

from __future__ import annotations

from visrun.tables.entries import TaskEntry

TASKS: dict[str, TaskEntry] = {
    "classification": TaskEntry(
        build="visrun.tasks.classification:Classification",
        monitor="accuracy",
        maximize=True,
        smaller=("ece",),
        losses={
            "cross_entropy": "visrun.losses:cross_entropy",
            "label_smoothing": "visrun.losses:label_smoothing",
            "focal": "visrun.losses:focal",
            "bce": "visrun.losses:bce",
        },
        fit="crop",
        image_size=224,
        target="label",
    ),
    "anomaly_detection": TaskEntry(
        build="visrun.tasks.anomaly_detection:AnomalyDetection",
        monitor="auroc",
        maximize=True,
        unranked=("threshold", "pixel_threshold"),
        losses={
            "cross_entropy": "visrun.anomaly.losses:cross_entropy",
            "focal": "visrun.anomaly.losses:focal",
            "bce": "visrun.anomaly.losses:bce",
        },
        fit="letterbox",
        image_size=256,
        target="verdict",
        spoil="visrun.data.defects:spoil",
    ),
    "object_detection": TaskEntry(
        build="visrun.tasks.object_detection:ObjectDetection",
        monitor="map",
        maximize=True,
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
    ),
    "oriented_object_detection": TaskEntry(
        build="visrun.tasks.oriented_object_detection:OrientedObjectDetection",
        monitor="map50",
        maximize=True,
        losses={
            "default": "visrun.detection.losses:default_rotated",
            "rotated_iou": "visrun.detection.losses:rotated_iou",
            "kld": "visrun.detection.losses:kld",
            "smooth_l1": "visrun.detection.losses:smooth_l1_rotated",
        },
        fit="zoom",
        image_size=640,
        target="rotated_boxes",
    ),
    "instance_segmentation": TaskEntry(
        build="visrun.tasks.instance_segmentation:InstanceSegmentation",
        monitor="map",
        maximize=True,
        losses={
            "default": "visrun.detection.losses:default_mask",
            "dice": "visrun.detection.losses:dice_mask",
            "bce": "visrun.detection.losses:bce_mask",
            "focal": "visrun.detection.losses:focal_mask",
        },
        fit="zoom",
        image_size=640,
        target="instances",
    ),
    "segmentation": TaskEntry(
        build="visrun.tasks.segmentation:Segmentation",
        monitor="miou",
        maximize=True,
        losses={
            "ce_dice": "visrun.losses:ce_dice",
            "cross_entropy": "visrun.losses:pixel_cross_entropy",
            "dice": "visrun.losses:dice",
            "focal": "visrun.losses:pixel_focal",
        },
        fit="zoom",
        image_size=512,
        target="mask",
    ),
    "regression": TaskEntry(
        build="visrun.tasks.regression:Regression",
        monitor="mae",
        maximize=False,
        smaller=("rmse",),
        losses={
            "mse": "visrun.losses:mse",
            "mae": "visrun.losses:mae",
            "huber": "visrun.losses:huber",
            "smooth_l1": "visrun.losses:smooth_l1",
        },
        fit="letterbox",
        image_size=224,
        target="value",
    ),
}
