"""The networks of `throughput_torch.py` on a GPU, for a Python that has PyTorch.

    python benchmarks/accelerator_torch.py cnn2d,resnet20

Prints JSON: samples per second by network, precision (float32, TF32, bfloat16) and batch, in wall
time; eager, channels last, SGD with momentum.
"""

# pyright: reportMissingImports=false

import json
import statistics
import sys
import time

import torch
from throughput_torch import NETWORKS, NUM_CLASSES
from torch import nn

BATCHES = (64, 256, 1024)
SECONDS = 1.0
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


def main() -> None:
    """Measures all networks that it knows."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = {
        f"{network} {precision}": {
            batch: rate(network, precision, batch, device) for batch in BATCHES
        }
        for network in sys.argv[1].split(",")
        if network in NETWORKS
        for precision in PRECISIONS
    }
    print(json.dumps(found))


def rate(network: str, precision: str, batch: int, device: str) -> float:
    """Samples per second, the median of the steps."""
    allowed = precision == "tensorfloat32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    make, shape = NETWORKS[network]
    last = torch.channels_last if len(shape) == 3 else torch.contiguous_format
    model = make().to(device, memory_format=last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    inputs = torch.randn(batch, *shape, device=device).contiguous(memory_format=last)
    labels = torch.randint(0, NUM_CLASSES, (batch,), device=device)

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(3):
        step()
    rates, end = [], time.perf_counter() + SECONDS
    while not rates or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        rates.append(batch / (time.perf_counter() - start))
    return statistics.median(rates)


if __name__ == "__main__":
    main()
