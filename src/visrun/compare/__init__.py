"""``visrun compare``: several runs side by side, as a table on the terminal and as one page to hand on.

``runs`` finds and reads them, ``tables`` says where they differ, ``charts`` and ``page`` make the page, and
``pictures``, which alone imports torch, lets every run predict the same images.
"""
