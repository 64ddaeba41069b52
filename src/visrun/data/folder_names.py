"""What folders are called, in lower case: those in which readers look, and those that are no classes.

Of several names the first that is there counts, so their order matters.
"""

from __future__ import annotations

IMAGES = ("images", "image", "imgs", "img")
MASKS = ("masks", "mask", "mask_images")
TRUTH = ("ground_truth", "groundtruth")
LABELS = ("labels", "label")
ANNOTATIONS = ("annotations", "annotation")

# Of images, by what lies beside them.
IMAGES_OF_MASKS = (*IMAGES, "img_dir", "original")
IMAGES_OF_NUMBERS = ("pngimages", *IMAGES)
IMAGES_OF_XMLS = ("jpegimages", *IMAGES, "allimages")  # the last are HRSC2016's

# Of masks. Numbers of objects in folders of the other names look like classes: they are read where the layout is named.
LABELS_AS_MASKS = ("labels", "annotations", "label", "annotation", "gt", *TRUTH, "ground truth", "ann_dir")
MASKS_OF_CLASSES = (*MASKS, *LABELS_AS_MASKS)
MASKS_OF_DEFECTS = (*TRUTH, *MASKS)
ALWAYS_MASKS = frozenset({*MASKS, *TRUTH, "segmentationclass", "segmentationobject"}) - {"mask"}  # may be a class
NUMBERS = ("pedmasks", "instances", "instance*")
NUMBERS_IF_NAMED = (*MASKS, "labels")
# What follows an image folder's name in that of its masks, the longest first; each reader says how the two are joined.
AFTER_IMAGES = ("annotations", "annotation", "annots", "annot", "labels", "label", "masks", "mask")

# Of label files.
LABELS_OF_SETS = ("annotations", "labels")
YOLO_LABELS = LABELS
VOC_XMLS = (*ANNOTATIONS, "xmls", "labels")
LABELME_JSONS = (*LABELS, *ANNOTATIONS, "jsons", "json", "labelme")
DOTA_LABELS = ("labeltxt", "labeltxt*[0-9]", "labeltxt*", "annfiles")  # labelTxt-v1.5 before labelTxt-v1.5_hbb

LISTS = ("meta", "splits")  # of images or of their labels, which lie in the dataset's folder itself before that

# Never classes, but images beside their masks, labels or tables; mask, label and original may well be classes.
# fmt: off
NO_CLASSES = frozenset({
    *IMAGES, "img_dir", "data", "masks", "labels", "annotations", "ann_dir", "labeltxt", "jpegimages", "pngimages",
    "segmentationclass", "segmentationobject", "pedmasks", "instances",
})
# fmt: on
