"""The public scenes and sets of images: catalogues, downloads, TFDS."""
