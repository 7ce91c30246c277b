from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

THREADS = """
import ctypes, sys, threading
from inspector import heap

if sys.argv[2] == "share":
    heap.share()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.fopen.restype, libc.malloc_info.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
met = threading.Barrier(4)

def work() -> None:
    met.wait()
    libc.free(libc.malloc(5000))
    met.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
"""

PAGES = """
import ctypes, resource, sys
from inspector import heap

if sys.argv[1] == "keep":
    heap.keep()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def pages_after_use(times: int) -> int:
    for _ in range(times):
        piece = libc.malloc(64 << 20)
        libc.memset(piece, 1, 64 << 20)
        libc.free(piece)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

print(-pages_after_use(1) + pages_after_use(10))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")
def test_threads_share_a_heap_where_each_would_have_its_own(tmp_path: Path) -> None:
    heaps = {}
    for how in ("share", "leave"):
        told = tmp_path / how
        subprocess.run([sys.executable, "-c", THREADS, str(told), how], check=True)
        heaps[how] = told.read_text().count("<heap nr=")
    assert heaps["share"] == 1 < heaps["leave"]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")
def test_what_is_freed_is_kept_where_the_system_would_have_it_back() -> None:
    pages = {
        how: int(subprocess.run([sys.executable, "-c", PAGES, how], check=True, capture_output=True).stdout)
        for how in ("keep", "leave")
    }
    assert pages["keep"] < 100 < pages["leave"], "of 10 times 64 MiB, in pages of 4 KiB or 2 MiB"
