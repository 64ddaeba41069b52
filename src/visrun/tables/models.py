"""The models, and torchvision's builders that have no entry of their own."""

from __future__ import annotations

from typing import Any

from visrun.errors import PLUGIN_HINT, ConfigError
from visrun.near import did_you_mean
from visrun.tables.entries import ModelEntry
from visrun.tables.zoo import torchvision_builders

GENERIC_MODEL = "torchvision"  # model=torchvision model.name=X: any builder of torchvision
TIMM_MODEL = "timm"  # model=timm model.name=X: any model of timm, or its body under what the task needs

IMAGE_TASKS = ("classification", "regression", "anomaly_detection")
PIXEL_TASKS = ("segmentation",)
HEAT_TASKS = (*PIXEL_TASKS, "anomaly_detection")  # of a U-Net: its pixels may be classes, or good and defective
BOX_TASKS = ("object_detection",)
MASK_TASKS = ("instance_segmentation", "oriented_object_detection")  # a turned box is the rectangle around a mask
OBJECT_TASKS = (*BOX_TASKS, *MASK_TASKS)
TIMM = "timm_"  # begins the names of timm's networks
UNET = "unet_"  # begins the name of a U-Net on a body of timm
DENSE = "dense_"  # begins the names of our detector's variants; a classifier of torchvision, its body, follows


# The least side in pixels of torchvision's classifiers whose names begin so; all others take any.
SMALLEST = {
    "alexnet": 63,
    "convnext_": 32,
    "densenet": 29,
    "efficientnet_v2_": 33,
    "googlenet": 15,
    "inception_": 75,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "vgg": 32,
}


def _classifier(builder: str, parameters: float, **facts: Any) -> ModelEntry:
    smallest = next((side for begins, side in SMALLEST.items() if builder.startswith(begins)), 1)
    if builder.startswith(("vit_", "maxvit_")):  # MaxViT's 7x7 windows must tile feature maps of a 32nd of the image
        step = 224 if builder.startswith("maxvit_") else int(builder.rpartition("_")[2])
        facts |= {"image_size": 224, "fixed_size": True, "multiple": step}
    return ModelEntry(
        build="visrun.models.classifiers:classifier",
        builder=builder,
        tasks=IMAGE_TASKS,
        parameters=parameters,
        smallest=smallest,
        **facts,
    )


def _segmenter(builder: str, parameters: float, **facts: Any) -> ModelEntry:
    build = "visrun.models.segmenters:segmenter"
    return ModelEntry(build=build, builder=builder, tasks=PIXEL_TASKS, parameters=parameters, pixels=True, **facts)


def _dense(builder: str, parameters: float, **facts: Any) -> ModelEntry:
    build = "visrun.models.dense:dense"
    return ModelEntry(build=build, builder=builder, tasks=OBJECT_TASKS, parameters=parameters, drops=False, **facts)


def _detector(builder: str, parameters: float, *, tasks: tuple[str, ...] = BOX_TASKS, **facts: Any) -> ModelEntry:
    facts |= {"drops": False, "weighs": False, "static_shapes": False}
    return ModelEntry(
        build="visrun.models.detectors:detector", builder=builder, tasks=tasks, parameters=parameters, **facts
    )


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
    "vit_b_16": _classifier("vit_b_16", 86.6, speed=1, accuracy=3),
    "small_unet": ModelEntry(
        build="visrun.models.small:small_unet",
        tasks=HEAT_TASKS,
        parameters=0.35,
        speed=3,
        accuracy=1,
        image_size=96,
        pretrained=False,
        multiple=8,
        pixels=True,
    ),
    "lraspp": _segmenter("lraspp_mobilenet_v3_large", 3.2, speed=3, accuracy=1, drops=False),
    "deeplabv3": _segmenter("deeplabv3_mobilenet_v3_large", 11.0, speed=2, accuracy=2),
    "deeplabv3_resnet50": _segmenter("deeplabv3_resnet50", 42.0, speed=1, accuracy=3),
    "fcn_resnet50": _segmenter("fcn_resnet50", 35.3, speed=1, accuracy=2),
    "unet": ModelEntry(
        build="visrun.models.unet:unet",
        builder="resnet18",
        tasks=HEAT_TASKS,
        parameters=14.3,
        speed=2,
        accuracy=2,
        pixels=True,
    ),
    "patchcore": ModelEntry(
        build="visrun.models.patchcore:patchcore",
        tasks=("anomaly_detection",),
        parameters=0.0,
        speed=3,
        accuracy=3,
        drops=False,
        gradient=False,
        options=("backbone", "strides", "coreset", "neighbours"),
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


def models_of(task: str) -> list[str]:
    """The names of ``MODELS`` that serve a task."""
    return [name for name, entry in MODELS.items() if task in entry.tasks]


def model_entry(name: str) -> ModelEntry:
    """The facts of ``name``: its own entry, or generic ones for a torchvision builder that has none.

    Raises:
        ConfigError: For a name that is neither.
    """
    if name in MODELS:
        return MODELS[name]
    builders = torchvision_builders()
    if TIMM in name:
        return _of_timm(name)
    if builders.get(name) == "classification":
        return _classifier(name, 0.0, speed=2, accuracy=2)
    if builders.get(name) == "segmentation":
        return _segmenter(name, 0.0, speed=1, accuracy=2, drops=not name.startswith("lraspp_"))
    if name.startswith(DENSE) and builders.get(name.removeprefix(DENSE)) == "classification":
        return _dense(name.removeprefix(DENSE), 0.0, speed=2, accuracy=2)
    reachable = [*MODELS, *(builder for builder, kind in builders.items() if kind != "detection")]
    own = own_detector(name)
    known = did_you_mean(name, reachable) or ": known: " + ", ".join(MODELS)
    hint = f" (did you mean {own}?)" if own else known + PLUGIN_HINT
    if name == GENERIC_MODEL:
        hint = ": name the torchvision builder, such as model.name=resnext50_32x4d"
    if name == TIMM_MODEL:
        hint = ": name timm's model, such as model.name=tf_efficientnet_lite0"
    raise ConfigError(f"model.name={name} is no model{hint}")


def own_detector(builder: str) -> str | None:
    """The entry that builds this detector of torchvision's, which is had by that name alone; None without one."""
    if torchvision_builders().get(builder) != "detection":
        return None
    return next((name for name, entry in MODELS.items() if entry.builder == builder), None)


def named_by(name: str, option: str | None) -> str:
    """A model's name beside the ``option`` chosen: of timm's, which may be torchvision's as well, its full one."""
    return name if option != TIMM_MODEL or TIMM in name or name == TIMM_MODEL else f"{TIMM}{name}"


def timm_name(name: str, task: str) -> str:
    """``timm_X`` as a task takes it: the classifier, a U-Net or our detector on its body; other names pass."""
    if not name.startswith(TIMM) or task in IMAGE_TASKS:
        return name
    return (UNET if task in HEAT_TASKS else DENSE) + name


def _of_timm(name: str) -> ModelEntry:
    """Generic facts; whether timm has the network is known once it is imported."""
    under, _, builder = name.partition(TIMM)
    facts: dict[str, Any] = {"builder": builder, "parameters": 0.0, "speed": 2, "accuracy": 2}
    if builder and under == "":
        build = "visrun.models.timm_models:timm_classifier"
        return ModelEntry(build=build, tasks=IMAGE_TASKS, square=True, **facts)
    if builder and under == UNET:
        return ModelEntry(build="visrun.models.unet:unet", tasks=HEAT_TASKS, pixels=True, **facts)
    if builder and under == DENSE:
        return ModelEntry(build="visrun.models.dense:dense", tasks=OBJECT_TASKS, drops=False, **facts)
    raise ConfigError(f"model.name={name} is no model: of timm there are timm_X, unet_timm_X and dense_timm_X")
