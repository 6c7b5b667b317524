"""Writes what rank 0 of a peer tells: the records of its steps and the result of its best state."""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from handover import Handover
from scores import scores

SAMPLES_PER_CALL = 1024  # of a prediction


class Recorder:
    """Writes the records of rank 0 and keeps the best state, by the rules of our runs."""

    def __init__(self, handover: Handover, model: nn.Module, workdir: Path):
        """Begins metrics.jsonl; `model` is the one that learns."""
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
        """Writes what a step took, from 0; FloatingPointError if its loss is not finite."""
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss of step {step} is {loss}")
        self._seconds += seconds
        self._steps.append(seconds)
        record = {"kind": "step", "step": step, "loss": loss, "learning_rate": rate}
        self._write(record | {"seconds": self._seconds, "step_seconds": seconds})

    def validate(self, done: int, since: int) -> None:
        """Validates if it was due after any of the steps since then, of which `done` are done."""
        every = self._handover.settings["validate_every"]
        if done == self._num_steps or done // every > since // every:
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

    def finish(self, **more: Any) -> None:
        """Tests the best state and writes result.npz, with what else is given."""
        self._model.load_state_dict(self._best)
        classes, _ = self._predict(self._handover.arrays["test"])
        np.savez(
            self._workdir / "result.npz",
            test_classes=classes,
            best_step=self._best_step,
            step_seconds=self._steps,
            torch=torch.__version__,
            **more,
        )

    def _write(self, record: dict) -> None:
        with open(self._workdir / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
