"""TFDS builders of the sets in the catalogues; importing this registers them with TFDS.

After `import hsi_jax.data.public.builders`, `tensorflow_datasets.builder` and `load` know
`hsi_jax_eurosat`, `hsi_jax_uc_merced`, `hsi_jax_resisc45` and `hsi_jax_scenes/<scene>`. None of
them needs TensorFlow, neither to prepare nor to read (by `as_data_source`, with
file_format="array_record").
"""

from hsi_jax.data.public.builders.image_sets import HsiJaxEurosat, HsiJaxResisc45, HsiJaxUcMerced
from hsi_jax.data.public.builders.scenes import HsiJaxScenes

__all__ = ["HsiJaxEurosat", "HsiJaxResisc45", "HsiJaxScenes", "HsiJaxUcMerced"]
