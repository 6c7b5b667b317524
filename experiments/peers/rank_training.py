"""Trains the cnn2d on the file that `experiments.peer_data` hands over; the same for all peers.

Data, batches, first parameters, learning rates and validations are those of our run. Each rank has
its consecutive part of every batch. The time of a step begins when its samples, which are on the
device already, are chosen, and ends with the updated parameters; validation is not part of it, as
in our runs.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from network import model_of
from scores import scores

SAMPLES_PER_CALL = 1024  # of a prediction

# Makes the model to train with and the optimiser to step with of a model and its optimiser.
Wrap = Callable[[nn.Module, torch.optim.Optimizer], tuple[nn.Module, torch.optim.Optimizer]]


class Handover:
    """The arrays and settings of a handed-over file; see `experiments.peer_data.hand_over`."""

    def __init__(self, path: str | Path):
        with np.load(path) as arrays:
            self.arrays = dict(arrays)
        self.settings = json.loads(str(self.arrays["settings"]))

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The first parameters by their names in Flax."""
        start = "params/"
        return {k.removeprefix(start): v for k, v in self.arrays.items() if k.startswith(start)}

    def patches(self, ids: np.ndarray) -> torch.Tensor:
        """Patches, float32 [n, p, p, bands]."""
        size = self.settings["patch_size"]
        windows = np.lib.stride_tricks.sliding_window_view(
            self.arrays["cube"], (size, size), (0, 1)
        )
        rows, columns = np.divmod(ids, self.settings["columns"])
        return torch.from_numpy(np.ascontiguousarray(windows[rows, columns].transpose(0, 2, 3, 1)))

    def labels(self, ids: np.ndarray) -> torch.Tensor:
        """Classes, int64 [n]."""
        return torch.from_numpy(self.arrays["labels"][ids].astype(np.int64))


def train(
    handover: Handover, counts: Sequence[int], rank: int, *, wrap: Wrap, workdir: Path
) -> None:
    """Trains this rank's part; rank 0 writes metrics.jsonl and, at the end, result.npz.

    The peers average the ranks' gradients, which is right if counts are equal. So each rank's loss
    is multiplied by count * ranks / batch: then the average is the gradient of the mean loss of
    the whole batch. If counts are equal, that factor is 1.
    """
    settings, batches = handover.settings, handover.arrays["batches"]
    model = model_of(handover.parameters, settings["patch_size"])
    wrapped, optimizer = wrap(model, make_optimizer(model, settings))
    ids, places = np.unique(batches, return_inverse=True)
    places = torch.from_numpy(places.reshape(batches.shape))
    patches, labels = handover.patches(ids), handover.labels(ids)
    own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
    weight = counts[rank] * len(counts) / sum(counts)

    record = _Recorder(handover, model, workdir) if rank == 0 else None
    for step, rate in enumerate(handover.arrays["learning_rates"].tolist()):
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        chosen = places[step, own]
        # Channels last: bands lie innermost in memory, as they come.
        logits = wrapped(patches[chosen].permute(0, 3, 1, 2))
        loss = weight * nn.functional.cross_entropy(logits, labels[chosen])
        loss.backward()
        optimizer.step()
        value = loss.item()
        seconds = time.perf_counter() - start
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss of step {step} is {value}")
        if record:
            record.step(step, value, rate, seconds)
    if record:
        record.finish()


def make_optimizer(model: nn.Module, settings: dict) -> torch.optim.Optimizer:
    """The optimiser of `hsi_jax.train.optimizer`; weight decay acts on kernels only."""
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    decay = settings["weight_decay"]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings["momentum"])
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["optimizer"]](groups)


class _Recorder:
    """Writes the records of rank 0 and keeps the best state, by the rules of our runs."""

    def __init__(self, handover: Handover, model: nn.Module, workdir: Path):
        self._handover = handover
        self._model = model
        self._workdir = workdir
        self._seconds = 0.0
        self._steps: list[float] = []
        self._best: dict[str, torch.Tensor] = {}
        self._best_rank: tuple[float, ...] | None = None
        self._best_step = 0
        self._num_steps = len(handover.arrays["batches"])
        self._write({"kind": "start", "num_steps": self._num_steps})

    def step(self, step: int, loss: float, rate: float, seconds: float) -> None:
        self._seconds += seconds
        self._steps.append(seconds)
        record = {"kind": "step", "step": step, "loss": loss, "learning_rate": rate}
        self._write(record | {"seconds": self._seconds, "step_seconds": seconds})
        done = step + 1
        if done == self._num_steps or done % self._handover.settings["validate_every"] == 0:
            self._validate(done)

    def _validate(self, step: int) -> None:
        ids = self._handover.arrays["validation"]
        rank = (0.0,)
        if len(ids):
            classes, losses = self._predict(ids)
            measured = scores(self._handover.arrays["labels"][ids], classes)
            rank = measured["overall_accuracy"], -float(losses.mean())
            record = {"kind": "evaluation", "set": "validation", "step": step, "loss": -rank[1]}
            self._write(record | measured)
        if self._best_rank is None or rank > self._best_rank or not len(ids):
            self._best_rank, self._best_step = rank, step
            self._best = copy.deepcopy(self._model.state_dict())

    def _predict(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classes and losses, [n] each."""
        classes, losses = [], []
        self._model.eval()
        with torch.no_grad():
            for start in range(0, len(ids), SAMPLES_PER_CALL):
                chunk = ids[start : start + SAMPLES_PER_CALL]
                logits = self._model(self._handover.patches(chunk).permute(0, 3, 1, 2))
                labels = self._handover.labels(chunk)
                losses.append(nn.functional.cross_entropy(logits, labels, reduction="none"))
                classes.append(logits.argmax(dim=1))
        self._model.train()
        return torch.cat(classes).numpy(), torch.cat(losses).numpy()

    def finish(self) -> None:
        self._model.load_state_dict(self._best)
        classes, _ = self._predict(self._handover.arrays["test"])
        np.savez(
            self._workdir / "result.npz",
            test_classes=classes,
            best_step=self._best_step,
            step_seconds=self._steps,
            torch=torch.__version__,
        )

    def _write(self, record: dict) -> None:
        with open(self._workdir / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
