"""The id that pixels have which count for nothing: neither a loss nor a metric looks at them.

Imports no torch, since helper processes paint masks with it.
"""

IGNORE = 255
