from .building import use_kernels as use_kernels
from .convolution import convolve as convolve
from .program_cache import keep_compiled as keep_compiled
