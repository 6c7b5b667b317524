from .patches import PatchClassifier as PatchClassifier
from .spectra import SpectralClassifier as SpectralClassifier
