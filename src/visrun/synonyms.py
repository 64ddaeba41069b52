"""Other tools' words and what visrun has for them: one table, which every hint reads and ``docs/coming_from.md`` shows.

>>> hint("imgsz"), hint("val"), hint("callbacks")
(' (did you mean data.image_size?)', '; write visrun evaluate RUN', '; runs take no callbacks')
"""

from __future__ import annotations

# Word, in small letters and with _ for - -> a setting, a choice of an option, or a command that begins with visrun.
# Before a model stands its task where the word means one of several that it serves.
OURS = {
    word: ours
    for ours, words in {
        # the run
        "max_epochs": "epochs num_epochs n_epochs",
        "batch_size": "batch bs train_batch_size eval_batch_size samples_per_gpu",
        "learning_rate": "lr0 base_lr init_lr",
        "early_stopping_patience": "patience early_stopping",
        "warmup_epochs": "warmup warmup_iters",
        "milestones": "step lr_steps",
        "step_size": "lr_drop",
        "optimizer": "opt optim",
        "optimizer_options.betas": "beta1 beta2",
        "seed": "seed_everything random_state manual_seed",
        "run.device": "gpu gpus devices accelerator trainer gpu_ids",
        "run.precision": "amp half fp16 mixed_precision",
        "run.clip": "gradient_clip_val grad_clip clip_grad max_norm",
        "run.accumulate": "nbs accumulate_grad_batches accumulative_counts grad_accum_steps",
        "run.max_time": "time",
        "run.monitor": "monitor save_best optimized_metric",
        "recipe=quick": "debug fast_dev_run",
        "recipe": "cfg config",
        # data
        "data.root": "data_dir data_root data_path path dataset_dir dataset category normal_dir",
        "data.image_size": "imgsz img_size input_size img_scale resolution",
        "data.workers": "num_workers workers_per_gpu",
        "data.train_fraction": "fraction subset limit_train_batches",
        "data.group": "groups group_by",
        "data.fold": "fold",
        "data.val_fraction": "val_split val_size val_split_ratio val_split_mode train_val_test_split",
        "data.classes": "class_names",
        "data.class_weights": "cls_pw class_weight",
        "data.tile": "tiling tile_size patch_size",
        "data.overlap": "tile_overlap patch_overlap",
        "data=folder": "imagefolder imagenet",
        "data=demo": "mnist",
        # augmentation
        "augment": "augmentation augmentations",
        "augment.hflip": "fliplr random_flip horizontal_flip",
        "augment.vflip": "flipud vertical_flip",
        "augment.rotate": "degrees rotation random_rotate",
        "augment.hue": "hsv_h",
        "augment.saturation": "hsv_s",
        "augment.brightness": "hsv_v",
        "augment.crop_scale": "scale random_resized_crop",
        "augment.erase": "erasing random_erasing",
        "augment=strong": "auto_augment autoaugment randaugment",
        # choices
        "task=object_detection": "detect detection",
        "task=oriented_object_detection": "obb rotated rotated_detection oriented_detection",
        "task=instance_segmentation": "segment instance instance_seg",
        "task=segmentation": "semantic semantic_segmentation semseg",
        "task=classification": "classify multi_class_cls multi_label_cls",
        "task=anomaly_detection": "anomaly anomaly_classification anomaly_segmentation",
        "model=dense_resnet18": "yolo rtmdet rtdetr rfdetr",
        "task=oriented_object_detection model=dense_resnet18": (
            "yolo_obb rotated_retinanet rotated_fcos rotated_rtmdet rotated_reppoints s2anet r3det"
        ),
        "task=instance_segmentation model=dense_resnet18": "yolo_seg",
        "model=resnet18": "yolo_cls",
        "task=oriented_object_detection model=maskrcnn": (
            "oriented_rcnn rotated_faster_rcnn roi_trans redet gliding_vertex"
        ),
        "model=patchcore": (
            "padim stfpm fastflow efficientad efficient_ad draem cfa uflow winclip dinomaly supersimplenet "
            "reverse_distillation"
        ),
        "loss=cross_entropy": "ce crossentropy crossentropyloss",
        "loss=bce": "bcewithlogits bcewithlogitsloss binary_cross_entropy",
        "loss=label_smoothing": "label_smoothing",
        "loss=ce_dice": "dice_ce",
        "loss=mae": "l1 l1loss",
        "loss=mse": "l2 mseloss",
        "loss=kld": "gwd gdloss",
        "loss=rotated_iou": "riou kfiou rotatediouloss",
        "loss_options.gamma": "fl_gamma",
        "scheduler=cosine": "cos_lr cosineannealinglr cosine_annealing",
        "scheduler=poly": "polynomial polylr linear linearlr",
        "scheduler=step": "steplr",
        "scheduler=none": "constant",
        # weights and networks
        "model": "models",
        "model.weights": "checkpoint load_from ckpt",
        "model_options.coreset": "coreset_sampling_ratio",
        "model_options.neighbours": "num_neighbors",
        "model_options.strides": "layers",
        # where a run goes
        "hydra.run.dir": "project output_dir work_dir save_dir default_root_dir results_dir out dir",
        "tracking": "logger loggers mlflow",
        "tracking.run_name": "name",
        "tracking.experiment": "task_name experiment_name",
        # searching
        "sweep=default": "hparams_search",
        "hydra.sweeper.n_trials": "n_trials trials iterations",
        # verbs
        "visrun data.root=PATH": "train fit mode",
        "visrun evaluate RUN": "val validate test eval",
        "visrun predict RUN IMAGES": "infer inference source",
        "visrun predict RUN IMAGES threshold=0.5": "conf conf_thres conf_thr score_thr min_score confidence",
        "visrun resume RUN": "resume ckpt_path resume_from auto_resume",
        "visrun export RUN format=onnx": "export onnx openvino torchscript deploy",
        "visrun -m sweep=default": "tune sweep hpo",
        "visrun repeat experiment=RUN seeds=5": "seeds",
        "visrun repeat experiment=RUN folds=5": "folds k_fold kfold n_splits cross_validation",
        "visrun check data.root=PATH": "checks analyze",
        "visrun explain": "info settings",
        "visrun --cfg job": "print_config",
        "visrun --help": "help list list_models",
        "visrun --version": "version v",
        "visrun ui": "app gui dashboard",
    }.items()
    for word in words.split()
}
# Word -> what to know where nothing here is like it.
LACKING = {
    word: line
    for words, line in {
        "callbacks hooks custom_hooks default_hooks": "runs take no callbacks",
        "save_period save_top_k checkpoint_interval max_keep_ckpts": "a run keeps its best and its last epoch",
        "wandb tensorboard vis_backends": "runs are tracked in MLflow and in metrics.jsonl",
        "limit max_images overfit_batches": "data.train_fraction=0.1 learns from a share of train",
        "sampler weighted_sampler": "batches are drawn evenly; data.class_weights weighs classes",
        "close_mosaic": "augment.mosaic holds for the whole run",
        "copy_paste shear perspective translate": "there is no such augmentation; a plugin may bring it",
        "multi_scale": "images of a run have one size; augment.crop_scale shows them nearer or farther",
        "rect": "images of a run have one shape: data.image_size=[height,width]",
        "compile": "networks are not compiled; run.graph replays the step as one CUDA graph",
        "box dfl": "the parts of a detector's loss have fixed weights",
        "cls": "the task is task=classification; the parts of a detector's loss have fixed weights",
        "min_delta": "any better value counts",
        "check_val_every_n_epoch val_interval": "every epoch is validated",
        "auto_scale_batch_size adaptive_bs": "a batch that fits is not sought; run.accumulate makes it larger",
        "lr_find auto_lr_find": "a learning rate is not sought before a run; visrun -m sweep=default compares some",
        "lrf eta_min": "cosine and poly end at 0",
        "plateau reducelronplateau onecycle onecyclelr": "there is no such schedule",
        "test_size test_split_mode": "test images are those of the dataset's own split",
        "mask_dir abnormal_dir normal_test_dir": "folders are told apart by their names, as in docs/anomaly.md",
        "pin_memory persistent_workers": "data.cache keeps decoded images, on the device if they fit",
        "num_classes nc": "the classes are counted in the data",
        "single_cls": "classes are not merged; data.classes chooses some",
        "angle_version": "turned boxes have one convention, whatever the dataset's",
        "max_det": "how many detections an image may have follows from the task; data.tile=N finds more in large ones",
        "iou iou_thres nms nms_thr": "the overlap at which doubles are merged is fixed",
        "strategy ddp num_nodes": "a run trains on one device; a sweep takes several",
        "_target_": "settings hold values and names, nothing to import; plugins=[my_package] brings code",
        "cfg_options": "settings are typed without a flag: key=value",
        "exist_ok": "every run has a folder of its own, and none is written over",
        "int8 opset simplify": "an export has one form, in fp32; other programs make it smaller",
        "tta": "there is no test-time augmentation",
        "benchmark profile flops": "models are not timed",
        "track": "objects are not followed from image to image",
        "pose keypoints yolo_pose": "keypoints are not learnt",
        "plots verbose save visualize show_dir": "a run always draws its pictures and says what it does",
        "save_txt save_json save_crop": "visrun predict prints a line of JSON an image; format=coco writes COCO's",
        "tags": "a run has no tags; tracking.run_name names it",
    }.items()
    for word in words.split()
}


def ours(word: str) -> str:
    """The setting, choice or command that another tool's word stands for; "" of a word that is none."""
    return OURS.get(_folded(word), "")


def hint(word: str) -> str:
    """What ends a line about another tool's word; "" of a word that is none."""
    named = ours(word)
    if named:
        return f"; write {named}" if is_command(named) else f" (did you mean {named}?)"
    return lacks(word)


def lacks(word: str) -> str:
    """What ends a line about another tool's word for what is not here; "" of any other word."""
    line = LACKING.get(_folded(word))
    return f"; {line}" if line else ""


def is_command(named: str) -> bool:
    """Whether something of the table is typed as it is: ``visrun resume RUN``."""
    return named.startswith("visrun ")


def _folded(word: str) -> str:
    """A word as the tables have it; yolo11n-obb.pt and all its kin by what they are for."""
    name = word.casefold().replace("-", "_")
    if not name.startswith("yolo"):
        return name
    return next((kin for kin in (*OURS, *LACKING) if kin.startswith("yolo_") and kin[4:] in name), "yolo")
