"""Networks in Flax linen, from patches or images [batch, h, w, c] to logits [batch, classes].

The names are listed in `__init__.pyi`. Each is imported when it is first used, so that a program
can list the models without waiting for JAX and Flax.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
