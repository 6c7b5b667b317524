from .choice import KERNELS as KERNELS
from .choice import use_kernels as use_kernels
from .compilation_cache import use_compilation_cache as use_compilation_cache
from .convolution import convolve as convolve
from .native_library import kernels_in_use as kernels_in_use
