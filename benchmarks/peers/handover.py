"""What `hsi_jax.comparison.peer_data` hands over to a peer, as PyTorch takes it."""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Handover:
    """The arrays and settings of a file made by `hsi_jax.comparison.peer_data.hand_over`."""

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


class Batches:
    """The samples of all batches, on the device already."""

    def __init__(self, handover: Handover):
        """Cuts the patches."""
        batches = handover.arrays["batches"]
        ids, places = np.unique(batches, return_inverse=True)
        self._places = torch.from_numpy(places.reshape(batches.shape))
        self._patches, self._labels = handover.patches(ids), handover.labels(ids)

    def places(self, steps: slice, part: slice) -> torch.Tensor:
        """Where the samples of a part of each of these batches are, int64 [steps * part]."""
        return self._places[steps, part].reshape(-1)

    def loss(self, model: nn.Module, places: torch.Tensor) -> torch.Tensor:
        """The mean loss of the samples at these places."""
        # Channels last: bands lie innermost in memory, as they come.
        logits = model(self._patches[places].permute(0, 3, 1, 2))
        return nn.functional.cross_entropy(logits, self._labels[places])


def part_of(counts: list[int], rank: int) -> slice:
    """A rank's consecutive part of every batch."""
    return slice(sum(counts[:rank]), sum(counts[: rank + 1]))
