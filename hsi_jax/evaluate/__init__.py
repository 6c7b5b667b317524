"""Measures of a classification and pictures of a run, without JAX.

The names are listed in `__init__.pyi`. Each is imported when it is first used, so that a program
that draws nothing does not import matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
