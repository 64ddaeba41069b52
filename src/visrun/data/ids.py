"""Ids of pixels that stand for no class. Imports no torch, since helper processes paint masks with them."""

IGNORE = 255  # of pixels that count for nothing: neither a loss nor a metric looks at them
ABSENT = -1  # of a class that the files do not have
NUMBERED = "numbers of objects? then data=instances task=instance_segmentation"  # what ids of masks may be instead
