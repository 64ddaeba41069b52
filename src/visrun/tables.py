"""The tables: the single place where a name on the command line maps to code and to the facts known without that code.

A reference is ``"module:attribute"``, resolved by :func:`visrun.build.load` only when it is used, so that importing the
tables costs nothing; a plugin may put a callable in its place. Adding a task, model, loss or reader is one entry here
(or, from a plugin, one assignment: ``visrun.tables.MODELS["mine"] = ModelEntry(...)``) and one file in ``conf/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from visrun.build import Ref
from visrun.errors import ConfigError
from visrun.zoo import torchvision_builders

LATER: Ref = ""  # a loss whose code comes with its task
OBJECT_TARGETS = ("boxes", "rotated_boxes", "instances")  # kinds of targets that lie in an image and are cut with it
GENERIC_MODEL = "torchvision"  # model=torchvision model.name=X: any builder of torchvision


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """What is known of a task before its code is imported.

    Args:
        build: The task's class, or None where its training code does not exist yet.
        monitor: The metric that picks the best checkpoint, stops early and feeds a sweep.
        maximize: Whether more of ``monitor`` is better.
        losses: Loss name -> function; the first is the default.
        fit: How an image meets the training size: ``crop`` fills it, ``letterbox`` keeps everything and pads, ``zoom``
            does so too but lets training look closer.
        image_size: Side of the training image in pixels, where the model names none.
        target: What a record's target is.
        mixes: Of mixup, cutmix, erase and mosaic, those that leave the task a true target.
    """

    build: Ref | None
    monitor: str
    maximize: bool
    losses: dict[str, Ref]
    fit: Literal["crop", "letterbox", "zoom"]
    image_size: int
    target: Literal["label", "value", "mask", "boxes", "rotated_boxes", "instances"]
    mixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What is known of a model before torch is imported.

    Args:
        build: The builder; it gets ``name`` and what else its signature names.
        builder: The name of torchvision's builder behind it, where it has one.
        tasks: The tasks it serves.
        drops: Whether it has a head that reads ``dropout``.
        parameters: Millions of parameters with its usual head (1000 classes; segmentation 21); 0 = not known here.
        image_size: Side in pixels it was made for, or None to take the task's.
        fixed_size: Whether it takes square images of one size only, given when it is built.
        pretrained: Whether published weights exist.
        losses: The losses it can honour, or None for all of the task's.
        speed: 1 (slow) to 3 (fast).
        accuracy: 1 (modest) to 3 (high), at its usual image size.
        multiple: Image sides are rounded up to a multiple of this many pixels.
    """

    build: Ref
    tasks: tuple[str, ...]
    parameters: float
    speed: int
    accuracy: int
    drops: bool = True
    builder: str = ""
    image_size: int | None = None
    fixed_size: bool = False
    pretrained: bool = True
    losses: tuple[str, ...] | None = None
    multiple: int = 32


@dataclass(frozen=True, kw_only=True)
class ReaderEntry:
    """A dataset layout: ``recognise(root, task) -> bool`` looks at names only; ``read`` returns the splits' records.

    ``tasks`` are those that its labels are made for; ``derived``, for layouts of labelled objects, those whose targets
    follow from them. Of two layouts of objects in one folder the one further up here counts.
    """

    read: Ref
    recognise: Ref
    tasks: tuple[str, ...]
    derived: tuple[str, ...] = ()


TASKS: dict[str, TaskEntry] = {
    "classification": TaskEntry(
        build="visrun.tasks.classification:Classification",
        monitor="accuracy",
        maximize=True,
        losses={
            "cross_entropy": "visrun.losses:cross_entropy",
            "label_smoothing": "visrun.losses:label_smoothing",
            "focal": "visrun.losses:focal",
            "bce": "visrun.losses:bce",
        },
        fit="crop",
        image_size=224,
        target="label",
        mixes=("mixup", "cutmix", "erase"),
    ),
    "anomaly_detection": TaskEntry(
        build=None,
        monitor="auroc",
        maximize=True,
        losses={"cross_entropy": LATER, "focal": LATER, "bce": LATER},
        fit="letterbox",
        image_size=256,
        target="label",
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
        mixes=("mosaic",),
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
        mixes=("mosaic",),
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
        mixes=("mosaic",),
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
        mixes=("cutmix", "erase"),
    ),
    "regression": TaskEntry(
        build="visrun.tasks.regression:Regression",
        monitor="mae",
        maximize=False,
        losses={
            "mse": "visrun.losses:mse",
            "mae": "visrun.losses:mae",
            "huber": "visrun.losses:huber",
            "smooth_l1": "visrun.losses:smooth_l1",
        },
        fit="letterbox",
        image_size=224,
        target="value",
        mixes=("mixup",),
    ),
}

OPTIMIZERS: dict[str, Ref] = {
    "adam": "visrun.optimizers:adam",
    "adamw": "visrun.optimizers:adamw",
    "sgd": "visrun.optimizers:sgd",
}

SCHEDULERS: dict[str, Ref] = {
    "cosine": "visrun.schedulers:cosine",
    "step": "visrun.schedulers:step",
    "multistep": "visrun.schedulers:multistep",
    "poly": "visrun.schedulers:poly",
    "none": "visrun.schedulers:none",
}

# Batch -> batch, picked by augment.extra; what moves pixels or mixes images is part of the augment section itself.
AUGMENTATIONS: dict[str, Ref] = {
    "blur": "visrun.data.extras:blur",
    "grayscale": "visrun.data.extras:grayscale",
    "noise": "visrun.data.extras:noise",
}


def _reader(module: str, *tasks: str, derived: tuple[str, ...] = ()) -> ReaderEntry:
    place = f"visrun.data.readers.{module}"
    return ReaderEntry(read=f"{place}:read", recognise=f"{place}:recognise", tasks=tasks, derived=derived)


_BOXES, _TURNED, _OUTLINES = "object_detection", "oriented_object_detection", "instance_segmentation"
_SHOWN = ("classification", "regression")  # what objects of any form say of a whole image

READERS: dict[str, ReaderEntry] = {
    "folder": _reader("folder", "classification"),
    "csv": _reader("table", "classification", "regression"),
    "masks": _reader("masks", "segmentation"),
    "coco": _reader("coco", _BOXES, _TURNED, _OUTLINES, derived=("segmentation", *_SHOWN)),
    "yolo": _reader("yolo", _BOXES, _TURNED, _OUTLINES, derived=("segmentation", *_SHOWN)),
    "voc": _reader("voc", _BOXES, _OUTLINES, "segmentation", derived=_SHOWN),
    "dota": _reader("dota", _TURNED, _BOXES, derived=_SHOWN),
    "instances": _reader("instances", _OUTLINES, _BOXES, _TURNED, derived=("segmentation", *_SHOWN)),
}


IMAGE_TASKS = ("classification", "regression", "anomaly_detection")
PIXEL_TASKS = ("segmentation",)
BOX_TASKS = ("object_detection",)
MASK_TASKS = ("instance_segmentation", "oriented_object_detection")  # a turned box is the rectangle around a mask
OBJECT_TASKS = (*BOX_TASKS, *MASK_TASKS)
DENSE = "dense_"  # begins the names of our detector's variants; a classifier of torchvision, its body, follows


def _classifier(builder: str, parameters: float, **facts: Any) -> ModelEntry:
    build = "visrun.models.classifiers:classifier"
    return ModelEntry(build=build, builder=builder, tasks=IMAGE_TASKS, parameters=parameters, **facts)


def _segmenter(builder: str, parameters: float, **facts: Any) -> ModelEntry:
    build = "visrun.models.segmenters:segmenter"
    return ModelEntry(build=build, builder=builder, tasks=PIXEL_TASKS, parameters=parameters, **facts)


def _dense(builder: str, parameters: float, **facts: Any) -> ModelEntry:
    build = "visrun.models.dense:dense"
    return ModelEntry(build=build, builder=builder, tasks=OBJECT_TASKS, parameters=parameters, drops=False, **facts)


def _detector(builder: str, parameters: float, *, tasks: tuple[str, ...] = BOX_TASKS, **facts: Any) -> ModelEntry:
    build = "visrun.models.detectors:detector"
    return ModelEntry(build=build, builder=builder, tasks=tasks, parameters=parameters, drops=False, **facts)


OWN_BOXES = ("default", "smooth_l1")  # smooth L1 is the own loss of Faster R-CNN's and SSD's boxes
OWN_MASKS = ("default", "bce")

MODELS: dict[str, ModelEntry] = {
    "small_resnet": ModelEntry(
        build="visrun.models.small:small_resnet",
        tasks=IMAGE_TASKS,
        parameters=0.4,
        speed=3,
        accuracy=1,
        image_size=32,
        pretrained=False,
        multiple=8,
    ),
    "resnet18": _classifier("resnet18", 11.7, speed=3, accuracy=1),
    "resnet34": _classifier("resnet34", 21.8, speed=2, accuracy=2),
    "resnet50": _classifier("resnet50", 25.6, speed=2, accuracy=2),
    "mobilenet_v3_small": _classifier("mobilenet_v3_small", 2.5, speed=3, accuracy=1),
    "mobilenet_v3_large": _classifier("mobilenet_v3_large", 5.5, speed=3, accuracy=2),
    "efficientnet_b0": _classifier("efficientnet_b0", 5.3, speed=2, accuracy=2),
    "efficientnet_v2_s": _classifier("efficientnet_v2_s", 21.5, speed=1, accuracy=3, image_size=384),
    "convnext_tiny": _classifier("convnext_tiny", 28.6, speed=1, accuracy=3),
    "swin_t": _classifier("swin_t", 28.3, speed=1, accuracy=3),
    "vit_b_16": _classifier("vit_b_16", 86.6, speed=1, accuracy=3, image_size=224, fixed_size=True, multiple=16),
    "small_unet": ModelEntry(
        build="visrun.models.small:small_unet",
        tasks=PIXEL_TASKS,
        parameters=0.35,
        speed=3,
        accuracy=1,
        image_size=96,
        pretrained=False,
        multiple=8,
    ),
    "lraspp": _segmenter("lraspp_mobilenet_v3_large", 3.2, speed=3, accuracy=1, drops=False),
    "deeplabv3": _segmenter("deeplabv3_mobilenet_v3_large", 11.0, speed=2, accuracy=2),
    "deeplabv3_resnet50": _segmenter("deeplabv3_resnet50", 42.0, speed=1, accuracy=3),
    "fcn_resnet50": _segmenter("fcn_resnet50", 35.3, speed=1, accuracy=2),
    "unet": ModelEntry(
        build="visrun.models.unet:unet",
        builder="resnet18",
        tasks=PIXEL_TASKS,
        parameters=14.3,
        speed=2,
        accuracy=2,
    ),
    "small_detector": ModelEntry(
        build="visrun.models.dense:small_detector",
        tasks=OBJECT_TASKS,
        parameters=0.94,
        speed=3,
        accuracy=1,
        image_size=160,
        drops=False,
        pretrained=False,
    ),
    "dense_resnet18": _dense("resnet18", 12.7, speed=3, accuracy=2),
    "dense_resnet50": _dense("resnet50", 29.9, speed=2, accuracy=3),
    "dense_mobilenet_v3_large": _dense("mobilenet_v3_large", 8.1, speed=3, accuracy=2),
    "dense_convnext_tiny": _dense("convnext_tiny", 31.2, speed=1, accuracy=3),
    "ssdlite": _detector(
        "ssdlite320_mobilenet_v3_large",
        3.3,
        speed=3,
        accuracy=1,
        image_size=320,
        fixed_size=True,
        losses=OWN_BOXES,
    ),
    "fasterrcnn_mobilenet": _detector("fasterrcnn_mobilenet_v3_large_fpn", 19.4, speed=2, accuracy=1, losses=OWN_BOXES),
    "fasterrcnn": _detector("fasterrcnn_resnet50_fpn", 41.8, speed=1, accuracy=2, losses=OWN_BOXES),
    "fasterrcnn_v2": _detector("fasterrcnn_resnet50_fpn_v2", 43.7, speed=1, accuracy=3, losses=OWN_BOXES),
    "retinanet": _detector("retinanet_resnet50_fpn", 33.8, speed=1, accuracy=2),
    "retinanet_v2": _detector("retinanet_resnet50_fpn_v2", 38.0, speed=1, accuracy=3),
    "fcos": _detector("fcos_resnet50_fpn", 32.3, speed=1, accuracy=2),
    "maskrcnn": _detector("maskrcnn_resnet50_fpn", 44.4, speed=1, accuracy=2, tasks=MASK_TASKS, losses=OWN_MASKS),
    "maskrcnn_v2": _detector("maskrcnn_resnet50_fpn_v2", 46.3, speed=1, accuracy=3, tasks=MASK_TASKS, losses=OWN_MASKS),
}


def model_entry(name: str) -> ModelEntry:
    """The facts of ``name``: its own entry, or generic ones for a torchvision builder that has none.

    Raises:
        ConfigError: For a name that is neither.
    """
    if name in MODELS:
        return MODELS[name]
    builders = torchvision_builders()
    if builders.get(name) == "classification":
        patch = int(name.rpartition("_")[2]) if name.startswith("vit_") else 32
        fixed = name.startswith(("vit_", "maxvit_"))
        return _classifier(name, 0.0, speed=2, accuracy=2, fixed_size=fixed, multiple=patch)
    if builders.get(name) == "segmentation":
        return _segmenter(name, 0.0, speed=1, accuracy=2, drops=not name.startswith("lraspp_"))
    if name.startswith(DENSE) and builders.get(name.removeprefix(DENSE)) == "classification":
        return _dense(name.removeprefix(DENSE), 0.0, speed=2, accuracy=2)
    close = get_close_matches(name, [*MODELS, *builders], n=1)
    hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(MODELS)
    if name == GENERIC_MODEL:
        hint = "name the torchvision builder, such as model.name=resnext50_32x4d"
    raise ConfigError(f"model.name={name} is no model: {hint}")
