"""Sets of images: opened, decoded, cached."""
