"""A cube of spectra and what it means: axes, bands, pixels without data, label ids."""
