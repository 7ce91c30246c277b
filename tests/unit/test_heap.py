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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")
def test_threads_share_a_heap_where_each_would_have_its_own(tmp_path: Path) -> None:
    heaps = {}
    for how in ("share", "leave"):
        told = tmp_path / how
        subprocess.run([sys.executable, "-c", THREADS, str(told), how], check=True)
        heaps[how] = told.read_text().count("<heap nr=")
    assert heaps["share"] == 1 < heaps["leave"]
