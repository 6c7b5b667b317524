from .native_library import use_kernels as use_kernels
from .convolution import convolve as convolve
from .compilation_cache import use_compilation_cache as use_compilation_cache
