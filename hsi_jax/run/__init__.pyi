from .checkpoint import Checkpoint as Checkpoint
from .checkpoint import Checkpoints as Checkpoints
from .folder import RunFolder as RunFolder
