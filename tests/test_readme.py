"""The README's examples are run as they stand there."""

import re
from pathlib import Path

import numpy as np
from flax import linen as nn

README = Path(__file__).parents[1] / "README.md"


class MyModule(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        return nn.Dense(self.num_classes)(patches.mean(axis=(1, 2)))


def examples():
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_train_ones_own_model_and_loss():
    example, with_own_loss = examples()
    names = {"MyModule": MyModule}
    exec(example, names)
    losses = names["fitted"].losses
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert len(names["classes"]) == len(names["split"].test)
    truth = names["scene"].labels.ravel()[names["split"].test]
    assert np.mean(names["classes"] == truth) > 0.6

    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    names |= {
        "np": np,
        "x": x,
        "y": x @ np.float32([1, -2, 3]),
        "params": {"w": np.zeros(3, np.float32)},
        "loss": lambda params, batch, key: (batch["x"] @ params["w"] - batch["y"]) ** 2,
    }
    exec(with_own_loss, names)
    losses = names["fitted"].losses
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
