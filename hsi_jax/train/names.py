"""Names of what a training can be told to use, for programs that list them without JAX.

What stands behind a name is in the file of its subject; every name here has its part there.
"""

OPTIMIZERS = ("sgd", "adam", "adamw")  # optimizer.py
SCHEDULES = ("constant", "cosine", "warmup_cosine", "linear")  # optimizer.py
# augmentation.py; the place of a name decides what it draws, so new ones come at the end
AUGMENTATIONS = ("flip", "rotate", "crop", "noise", "bands")
LOSSES = ("cross_entropy", "weighted", "focal")  # losses.py
SAMPLINGS = ("shuffled", "balanced")  # recipe.py
METHODS = ("auto", "one_pass", "patches")  # of a map: scene_map.py
