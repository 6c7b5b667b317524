"""Options that make the networks for patches narrow, so that they compile quickly."""

NARROW = {
    "ssrn": {"features": 4, "spectral_features": 6},
    "dbda": {"features": 4, "growth": 4},
    "spectralformer": {
        "width": 8,
        "depth": 3,
        "heads": 2,
        "head_width": 4,
        "hidden": 4,
    },
    "ssftt": {"features": 2, "flat_features": 6, "width": 8, "heads": 2, "hidden": 4},
    "gaht": {"groups": 2, "widths": (8, 8, 8), "heads": (2, 2, 2), "depths": (1, 1, 1)},
    "mamba": {"width": 8, "depth": 1, "groups": 2, "states": 4},
}
