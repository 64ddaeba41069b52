"""Dataset layouts, one module each: ``recognise(root)`` looks at names, ``read(root)`` returns a ``Listing``.

Both may ask for more by name, as docs/extending.md says: ``recognise`` for the ``task``, ``read`` for ``targets`` and
``group`` and for what `visrun.data.recognise.asked` knows.

The first line of ``read``'s docstring says the layout in words; it is shown where no layout fits.
"""
