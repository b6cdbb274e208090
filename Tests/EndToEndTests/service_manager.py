"""Plays the service manager for one daemon: service_manager.py FOLDER COMMAND...

Passes it two listening sockets, FOLDER/clients.sock and a TCP port, which stays in the file FOLDER/port, and
writes every datagram that it sends to FOLDER/notices, one a line, after the time in seconds. A file FOLDER/again
starts the command again once it has ended; it dies with us. A line in FOLDER/ended has each exit status.
"""
import ctypes
import os
import signal
import socket
import sys
import threading
import time

folder, command = sys.argv[1], sys.argv[2:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(folder + "/notify")
clients = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
clients.bind(folder + "/clients.sock")
clients.listen(4096)
metrics = socket.create_server(("127.0.0.1", 0))
with open(folder + "/port", "w") as file:
    file.write(str(metrics.getsockname()[1]))


def hear():
    with open(folder + "/notices", "a") as log:
        while True:
            text = notify.recv(65536).decode()
            for line in text.split("\n"):
                log.write(f"{time.monotonic():.3f} {line}\n")
            log.flush()


def start():
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.dup2(clients.fileno(), 103)
    os.dup2(metrics.fileno(), 104)
    os.dup2(103, 3, inheritable=True)
    os.dup2(104, 4, inheritable=True)
    environment = dict(
        os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS="2",
        LISTEN_FDNAMES=os.environ.get("NAMES", "clients:metrics"), NOTIFY_SOCKET=folder + "/notify",
        WATCHDOG_USEC=os.environ.get("WATCHDOG", "3000000"), WATCHDOG_PID=str(os.getpid()))
    os.execve(command[0], command, environment)


threading.Thread(target=hear, daemon=True).start()
while True:
    child = start()
    with open(folder + "/pid.new", "w") as file:
        file.write(str(child))
    os.rename(folder + "/pid.new", folder + "/pid")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(folder + "/ended", "a") as file:
        file.write(f"{status}\n")
    while not os.path.exists(folder + "/again"):
        time.sleep(0.005)
    os.remove(folder + "/again")
