"""Training and prediction of one state on many replicas."""

from hsi_jax.train.checkpoint import Checkpoint, Checkpoints
from hsi_jax.train.folder import RunFolder
from hsi_jax.train.loop import Fit, fit
from hsi_jax.train.measurement import measure_profile, measure_throughputs
from hsi_jax.train.optimizer import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule
from hsi_jax.train.patches import Patches
from hsi_jax.train.prediction import predict
from hsi_jax.train.progress import Progress
from hsi_jax.train.rebalancing import Rebalancing
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.samples import Samples
from hsi_jax.train.state import TrainState, create_loss_state, create_state
from hsi_jax.train.stream import Stream

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Checkpoint",
    "Checkpoints",
    "Fit",
    "Patches",
    "Progress",
    "Rebalancing",
    "Replicas",
    "RunFolder",
    "Samples",
    "Stream",
    "TrainState",
    "create_loss_state",
    "create_state",
    "fit",
    "make_optimizer",
    "make_schedule",
    "measure_profile",
    "measure_throughputs",
    "predict",
]
