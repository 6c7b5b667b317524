"""How much memory may be taken."""

import psutil


def free_memory() -> int:
    """Bytes that this process may still take: what is free, or less where `ulimit -v` says so."""
    free = psutil.virtual_memory().available
    try:
        import resource
    except ImportError:  # Windows
        return free
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return free
    return max(0, min(free, limit - psutil.Process().memory_info().vms))
