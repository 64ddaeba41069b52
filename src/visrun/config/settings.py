"""Everything of a run that is no hyperparameter: task, seed and sections, with their defaults, ranges and help."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from visrun.config.fields import NAME, Float, Frozen, Int, field, sections
from visrun.config.kinds import (
    BODY,
    Address,
    Classes,
    Decay,
    Fold,
    Module,
    Pattern,
    Scale,
    Seconds,
    Side,
    Strides,
    Weights,
)
from visrun.machine import DEVICE, DEVICES
from visrun.tables.words import Cache, Fit, OnBad


class Data(Frozen):
    """Where the images come from and how they reach the device."""

    name: str = field("demo", "The layout: demo, auto (recognise it) or the name of a reader.", pattern=NAME)
    root: Address | None = field(None, "The dataset's folder or table.", empty="the demo set", allowed="a path")
    image_size: Side | tuple[Side, Side] | None = field(
        None,
        "Side of the training image.",
        empty="the model's or the task's, at most the images' median",
        unit="pixels",
        allowed="an integer from 8 to 4096, or two of them as [height,width]",
    )
    resize: Fit | None = field(
        None,
        "How an image meets the training size: crop fills it, letterbox keeps all and pads, zoom is a letterbox that "
        "training looks into closer.",
        empty="the task's",
        allowed="crop, letterbox or zoom",
    )
    classes: Classes | None = field(
        None, "The classes to learn, in this order.", empty="all found", allowed="a list of different class names"
    )
    targets: Classes | None = field(
        None,
        "The columns of a table to learn.",
        empty="all but those that number its rows and, for values, those of text",
        allowed="a list of different column names",
    )
    tile: Int | None = field(
        None,
        "Cut larger images into tiles of so many pixels a side; what is found in them is merged.",
        empty="never",
        unit="pixels",
        ge=32,
        le=8192,
    )
    overlap: Int = field(200, "By how many pixels neighbouring tiles overlap, at least.", unit="pixels", ge=0, le=4096)
    val_fraction: Float = field(0.2, "Share of train held out where the dataset has no val split.", gt=0, lt=1)
    fold: Fold | None = field(
        None,
        "Cross-validation: of how many parts of train and val together which one is val.",
        empty="none",
        allowed="the part and how many there are, from 1/2 to 1000/1000, such as 2/5",
    )
    group: Pattern | None = field(
        None,
        "What names an image's patient, clip or place, none of which is held out in part: a column of its table, or "
        "what is found in its path.",
        empty="nothing",
        allowed="a column or a regular expression",
    )
    train_fraction: Float = field(1.0, "Share of train to learn from, the same of every class; 1 = all.", gt=0, le=1)
    class_weights: Literal["none", "balanced"] | Weights = field(
        "none",
        "Weight of each class in the loss: none, balanced (inverse frequency), or one number a class.",
        allowed="none, balanced or a list with one number >= 0 for every class",
    )
    workers: Int = field(
        -1,
        "Threads that decode images, with helper processes beyond four; -1 or 0 = all cores but one, in a sweep's slot "
        "all of its share but one, at most 16.",
        ge=-1,
        le=256,
    )
    cache: Cache = field(
        "auto",
        "Where decoded images are kept: auto = the first of gpu, ram and disk with room; stream = nowhere, they are "
        "decoded in every epoch.",
    )
    cache_gb: Float | None = field(
        None,
        "Budget of the cache in each place in GB, all splits together.",
        empty="half of what is free there",
        unit="GB",
        gt=0,
    )
    cache_dir: Address | None = field(None, "Folder of the disk cache.", empty="~/.cache/visrun", allowed="a path")
    on_bad: OnBad = field("error", "What an unreadable image or label does: stop, or be left out.")

    @property
    def place(self) -> Path | None:
        """Where the images lie, as the user named it; None of the demo, which is made where it is needed."""
        return None if self.name == "demo" or self.root is None else Path(self.root)


class Augment(Frozen):
    """How a training image is varied; 0 or false turns a part off, and so the defaults here vary nothing."""

    name: str = field("none", "The preset these values came from.", pattern=NAME)
    crop_scale: Scale = field(
        (1.0, 1.0),
        "Range of the share of the image's area that a random crop or zoom keeps; [1,1] = all. A zoom above 1 shows "
        "the image smaller; a letterbox keeps all of it, shrunk to that share, at least 0.64.",
        allowed="two ascending numbers above 0 and up to 4, such as [0.35,1.0]",
    )
    hflip: bool = field(False, "Mirror left and right in half of the images; wrong for digits and text.")
    vflip: bool = field(False, "Mirror top and bottom in half of the images; for views from above.")
    rotate: Float = field(0.0, "Largest rotation to either side, in degrees.", unit="degrees", ge=0, le=180)
    brightness: Float = field(0.0, "Largest relative change of the brightness.", ge=0, le=1)
    contrast: Float = field(0.0, "Largest relative change of the contrast.", ge=0, le=1)
    saturation: Float = field(0.0, "Largest relative change of the saturation.", ge=0, le=1)
    hue: Float = field(0.0, "Largest shift of the hue, in turns of the colour circle.", unit="turns", ge=0, le=0.5)
    mixup: Float = field(0.0, "Alpha of mixup, which blends two images (arXiv 1710.09412); 0 = off.", ge=0, le=10)
    cutmix: Float = field(
        0.0, "Alpha of CutMix, which pastes part of another image in (arXiv 1905.04899); 0 = off.", ge=0, le=10
    )
    erase: Float = field(0.0, "Probability of erasing a rectangle (arXiv 1708.04896).", ge=0, le=1)
    mosaic: Float = field(0.0, "Probability of a mosaic of four images, for objects (arXiv 2004.10934).", ge=0, le=1)
    extra: Classes | tuple[()] = field(
        (), "Further augmentations by name: blur, grayscale, noise or a plugin's.", allowed="a list of different names"
    )


class Model(Frozen):
    """The network and where its weights come from."""

    name: str = field(
        "resnet18",
        "A model of the tables, with model=torchvision any torchvision builder, with model=timm any timm model.",
        pattern=BODY,
    )
    pretrained: Literal["auto"] | bool = field(
        "auto",
        "Published weights: true = take them or fail, false = start from random, auto = take them if they can be had.",
        allowed="auto, true or false",
        hint="model.weights takes a file",
    )
    weights: Address | None = field(None, "A weight file or a run's folder to start from.", allowed="a path")
    freeze: Literal["none", "backbone"] = field("none", "What does not learn: backbone = all but the head.")


class Run(Frozen):
    """How the loop runs."""

    device: str = field(
        "auto", "Where to train; auto = the first CUDA GPU, else the CPU.", allowed=DEVICES, pattern=rf"^({DEVICE})$"
    )
    precision: Literal["auto", "fp32", "bf16"] = field(
        "auto", "Precision of the forward pass; auto = bf16 where the GPU has it, else fp32."
    )
    graph: Literal["auto"] | bool = field(
        "auto", "The training step as one CUDA graph; auto = where it can be.", allowed="auto, true or false"
    )
    deterministic: bool = field(
        False, "Take the operations whose result is the same in every run, where there are such; slower on a GPU."
    )
    max_time: Seconds | None = field(
        None, "Stop after this long, with everything saved.", unit="seconds", allowed="seconds > 0, or such as 1h30m"
    )
    clip: Float = field(10.0, "Largest norm of the gradient; 0 = no clipping.", ge=0)
    accumulate: Int = field(1, "Batches whose gradients make one optimizer step.", unit="batches", ge=1, le=1024)
    monitor: str | None = field(
        None,
        "The metric that picks the best epoch and feeds a sweep.",
        empty="the task's",
        allowed="a metric of the task",
    )
    ema: Float = field(0.0, "Decay of the weights' moving average that is evaluated and saved; 0 = off.", ge=0, lt=1)


class Tracking(Frozen):
    """Where the run is recorded beside its folder."""

    name: Literal["mlflow", "none"] = field("mlflow", "The tracker.")
    uri: Address | None = field(
        None,
        "MLflow's store.",
        empty="MLFLOW_TRACKING_URI where it is set, else mlflow.db in the current folder",
        allowed="a path or URL",
    )
    experiment: str | None = field(None, "MLflow's experiment.", empty="visrun/TASK", allowed="a name", min_length=1)
    run_name: str | None = field(
        None, "The run's name in MLflow.", empty="the model and what sets it apart", allowed="a name", min_length=1
    )


class LossOptions(Frozen):
    """Numbers of single losses."""

    smoothing: Float = field(0.1, "Label smoothing: share of the target that is spread over all classes.", ge=0, lt=1)
    gamma: Float = field(2.0, "Focal loss: how strongly easy samples are played down; 0 = not at all.", ge=0)
    alpha: Float | None = field(
        None,
        "Focal loss: weight of objects, defects and all classes but the first; the rest has 1 - alpha.",
        empty="even",
        ge=0,
        le=1,
    )
    dice_weight: Float = field(1.0, "ce_dice: weight of Dice beside cross-entropy.", ge=0)
    delta: Float = field(
        1.0, "Huber: error up to which it is squared; 1 = the target's quartile distance / 1.349.", gt=0
    )
    beta: Float = field(
        1.0,
        "Smooth L1: error up to which it is squared; 1 = quartile distance / 1.349, or a tenth of an object.",
        gt=0,
    )


class OptimizerOptions(Frozen):
    """Numbers of single optimizers."""

    betas: tuple[Decay, Decay] = field(
        (0.9, 0.999),
        "Adam and AdamW: decay of the moving averages of the gradient and of its square.",
        allowed="two numbers >= 0 and < 1, such as [0.9,0.999]",
    )
    nesterov: bool = field(False, "SGD: Nesterov's momentum.")


class ModelOptions(Frozen):
    """Numbers of single models."""

    backbone: str = field(
        "wide_resnet50_2",
        "PatchCore: whose features are remembered, a torchvision classifier or, with timm, any of its models.",
        allowed="the name of a network",
        pattern=BODY,
    )
    strides: Strides = field(
        (8, 16),
        "PatchCore: which of the backbone's feature maps, by how many pixels of the image make one of theirs.",
        allowed="an ascending list of 4, 8, 16 and 32, such as [8,16]",
    )
    coreset: Float = field(0.1, "PatchCore: share of the good patches that is remembered.", gt=0, le=1)
    neighbours: Int = field(
        9, "PatchCore: remembered patches around the nearest one that weigh an image's score.", ge=1, le=100
    )


class Settings(Frozen):
    """A run beside its hyperparameters."""

    task: str = field(
        "classification",
        "What is learnt, such as classification or segmentation.",
        allowed="the name of a task",
        pattern=NAME,
    )
    seed: Int = field(0, "Seed of everything random.", allowed="an integer from 0 to 4294967295", ge=0, le=2**32 - 1)
    plugins: tuple[Module, ...] = field(
        (),
        "Python modules to import first, which add models, losses, augmentations, readers or tasks.",
        allowed="a list of modules, such as [my_package]",
    )
    experiment: Address | None = field(
        None, "A run's folder or experiment.json whose settings are taken.", allowed="a path"
    )
    recipe: str | None = field(None, "A saved set of settings, conf/recipe/NAME.yaml.", allowed="a name", pattern=NAME)
    data: Data = Data()
    augment: Augment = Augment()
    model: Model = Model()
    run: Run = Run()
    tracking: Tracking = Tracking()
    loss_options: LossOptions = LossOptions()
    optimizer_options: OptimizerOptions = OptimizerOptions()
    model_options: ModelOptions = ModelOptions()


SECTIONS = sections(Settings)
