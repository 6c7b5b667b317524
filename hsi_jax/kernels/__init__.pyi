from .choice import KERNELS as KERNELS
from .choice import use_kernels as use_kernels
from .compilation_cache import use_compilation_cache as use_compilation_cache
from .convolution import convolve as convolve
