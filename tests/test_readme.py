"""The README's example is run as it stands there."""

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


def test_the_example_trains_ones_own_model():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {"MyModule": MyModule}
    exec(example, names)
    losses = names["fitted"].losses
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    assert len(names["classes"]) == len(names["split"].test)
    truth = names["scene"].labels.ravel()[names["split"].test]
    assert np.mean(names["classes"] == truth) > 0.6
