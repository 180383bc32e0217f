"""How the process takes memory and gives it back: settings of the allocator and the garbage collector."""

import ctypes
import gc

_M_MMAP_THRESHOLD = -3  # of glibc's mallopt(3)


def give_memory_back() -> None:
    """Make every ring a mapping of its own, which goes back to the system as soon as the ring is freed.

    glibc raises its threshold for that with each large block that is freed, up to 32 MiB. The next rings would then
    grow inside the heap, step by step, and leave holes there as large as themselves. Other C libraries have no such
    call, and no need of it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def collect_seldom() -> None:
    """Keep the garbage collector out of a rush of viewers: it took a third of the time of a thousand joins a second.

    Each viewer is a dozen objects that live long, and by default every 700 of those are looked through. What the start
    has made stays for good and is not looked at any more. Cycles are few here, so they can wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
