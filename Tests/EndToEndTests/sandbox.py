"""Runs a command as the daemon's unit does: sandbox.py FOLDER COMMAND…

In a network and mounts of its own: no network at all, everything but FOLDER and devices read-only, and a /proc that
shows processes only. Needs root.
"""
import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000


def mount(source, target, kind, flags=0, data=""):
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


folder, command = sys.argv[1], sys.argv[2:]
if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
    raise OSError(ctypes.get_errno(), "unshare")
mount("", "/", "", MS_REC | MS_PRIVATE)
mount(folder, folder, "", MS_BIND)
mount("/", "/", "", MS_BIND | MS_REMOUNT | MS_RDONLY)
mount("proc", "/proc", "proc", 0, "subset=pid")
os.execvp(command[0], command)
