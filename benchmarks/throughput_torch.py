"""The networks of `benchmarks.throughput` in PyTorch, for a Python that has it.

    python benchmarks/throughput_torch.py

It speaks as `benchmarks.throughput_steps` does, with batches. The step is that of a careful user:
eager, float32, SGD with momentum, channels last. Needs only torch and NumPy.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import functools
import json
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

NUM_CLASSES = 16
LEARNING_RATE, MOMENTUM = 0.01, 0.9


def main() -> None:
    """Answers requests until standard input ends."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for line in sys.stdin:
        network, batch, seconds = json.loads(line)
        step = make_step(network, batch)
        times, end = [], time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            start = time.process_time()
            step()
            times.append((time.process_time() - start) / batch)
        print(json.dumps(times), flush=True)


@functools.cache
def make_step(network: str, batch: int) -> Callable[[], float]:
    """A call that trains once on a batch and returns its loss."""
    make, shape = NETWORKS[network]
    model = make()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)
        elif isinstance(layer, nn.Conv3d) and network != "hybridsn":  # there it is slower
            layer.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=MOMENTUM)
    inputs = torch.randn(batch, *shape)
    if len(shape) == 3:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, NUM_CLASSES, (batch,))

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(2):
        step()
    return step


def cnn1d() -> nn.Module:
    """As `hsi_jax.models.cnn1d` with 200 bands."""
    return nn.Sequential(
        nn.Conv1d(1, 20, 23),
        nn.MaxPool1d(5),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(35 * 20, 100),
        nn.Tanh(),
        nn.Linear(100, NUM_CLASSES),
    )


def cnn2d() -> nn.Module:
    """As `hsi_jax.models.cnn2d` with patches of 11 x 11 x 30."""
    return nn.Sequential(
        *normed(30, 64),
        *normed(64, 64),
        nn.MaxPool2d(2),
        *normed(64, 128),
        nn.Flatten(),
        nn.Linear(25 * 128, 128),
        nn.ReLU(),
        nn.Linear(128, NUM_CLASSES),
    )


def normed(channels: int, features: int) -> list[nn.Module]:
    """A 3x3 convolution, batch normalisation and relu."""
    convolution = nn.Conv2d(channels, features, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(features), nn.ReLU(inplace=True)]


def cnn3d() -> nn.Module:
    """As `hsi_jax.models.cnn3d` with patches of 5 x 5 x 103."""
    layers, channels = [], 1
    for features, window, stride, pad in (
        (20, (3, 3, 3), 1, 0),
        (20, (3, 1, 1), 2, 1),
        (35, (3, 3, 3), 1, 1),
        (35, (3, 1, 1), 2, 1),
        (35, (3, 1, 1), 1, 1),
        (35, (2, 1, 1), 2, 1),
    ):
        padding = (pad, 0, 0)
        layers += [nn.Conv3d(channels, features, window, (stride, 1, 1), padding), nn.ReLU()]
        channels = features
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(14 * 35, NUM_CLASSES))


def hybridsn() -> nn.Module:
    """As `hsi_jax.models.hybridsn` with patches of 25 x 25 x 30."""
    return nn.Sequential(
        nn.Conv3d(1, 8, (7, 3, 3)),
        nn.ReLU(inplace=True),
        nn.Conv3d(8, 16, (5, 3, 3)),
        nn.ReLU(inplace=True),
        nn.Conv3d(16, 32, (3, 3, 3)),
        nn.ReLU(inplace=True),
        nn.Flatten(1, 2),  # features and depth
        nn.Conv2d(32 * 18, 64, 3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(17 * 17 * 64, 256),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Linear(128, NUM_CLASSES),
    )


class Block(nn.Module):
    """As `hsi_jax.models.resnet.Block`; a bottleneck if `expansion` is above 1."""

    def __init__(
        self, channels: int, features: int, stride: int, projects: bool, *, expansion: int
    ):
        super().__init__()
        out = features * expansion
        layers = [(features, 3, stride), (out, 3, 1)]
        if expansion > 1:
            layers = [(features, 1, 1), (features, 3, stride), (out, 1, 1)]
        main, inputs = [], channels
        for width, window, step in layers:
            main += [
                nn.Conv2d(inputs, width, window, step, window // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            inputs = width
        self.main = nn.Sequential(*main[:-1])  # the last relu follows the shortcut
        self.stride, self.extra = stride, out - channels
        self.projection = None
        if projects and (stride > 1 or self.extra):
            self.projection = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [batch, channels, h, w] to [batch, features, h / stride, w / stride]."""
        shortcut = x
        if self.projection is not None:
            shortcut = self.projection(x)
        elif self.stride > 1 or self.extra:
            shortcut = x[:, :, :: self.stride, :: self.stride]
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, self.extra))
        return nn.functional.relu(self.main(x).add_(shortcut), inplace=True)


def resnet(depths: tuple[int, ...], width: int, projects: bool, expansion: int = 1) -> nn.Module:
    """As `hsi_jax.models.resnet` with the small stem."""
    layers, channels = normed(3, width), width
    for stage, depth in enumerate(depths):
        for index in range(depth):
            features = width * 2**stage
            stride = 2 if stage > 0 and index == 0 else 1
            layers.append(Block(channels, features, stride, projects, expansion=expansion))
            channels = features * expansion
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, NUM_CLASSES)]
    return nn.Sequential(*layers, *pooled)


# Each with the shape of an input without the batch.
NETWORKS = {
    "cnn1d": (cnn1d, (1, 200)),
    "cnn2d": (cnn2d, (30, 11, 11)),
    "cnn3d": (cnn3d, (1, 103, 5, 5)),
    "hybridsn": (hybridsn, (1, 30, 25, 25)),
    "resnet20": (functools.partial(resnet, (3, 3, 3), 16, False), (3, 64, 64)),
    "resnet18": (functools.partial(resnet, (2, 2, 2, 2), 64, True), (3, 64, 64)),
    "resnet50": (functools.partial(resnet, (3, 4, 6, 3), 64, True, 4), (3, 64, 64)),
}


if __name__ == "__main__":
    main()
