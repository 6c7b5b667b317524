"""Many scenes that are learnt from as one: their table, pixels, tiles, order and sums."""
