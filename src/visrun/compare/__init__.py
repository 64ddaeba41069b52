"""``visrun compare``: several runs side by side, as a table on the terminal and as one page to hand on.

``find`` and ``runs`` find and read them, ``tables`` says where they differ, ``repeats`` and ``pairs`` which of several
configurations is better whose runs have the same seeds or folds, ``charts`` and ``page`` make the page, and
``pictures``, which alone imports torch, lets every run predict the same images.
"""
