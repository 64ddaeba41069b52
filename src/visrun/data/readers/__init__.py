"""Dataset layouts, one module each: ``recognise(root, task)`` looks at names, ``read(root)`` returns a ``Listing``.

The first line of ``read``'s docstring says the layout in words; it is shown where no layout fits.
"""
