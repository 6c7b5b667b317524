from .compilation_cache import use_compilation_cache as use_compilation_cache
from .convolution import convolve as convolve
from .native_library import use_kernels as use_kernels
