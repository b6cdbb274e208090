"""Clients that do their worst, each as a user of its own, for some seconds.

    hostile.py SOCKET SECONDS UID=ROLE...      (as root)

Prints nothing; ends when the time is over.
"""
import os
import socket
import sys
import threading
import time
import urllib.parse

path, seconds, users = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
end = time.time() + seconds
NDJSON = b"POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"


def connect():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(path)
    return client


def forever(work):
    def loop():
        while time.time() < end:
            try:
                work()
            except OSError:
                time.sleep(0.05)
    threading.Thread(target=loop, daemon=True).start()


def refusals():
    """Lines that are refused, whose answers nobody takes; a space now and then keeps it going."""
    client = connect()
    client.sendall(NDJSON)
    lines = b"0\n" * 62000
    client.sendall(b"%x\r\n%s\r\n" % (len(lines), lines))
    while time.time() < end:
        time.sleep(1)
        client.sendall(b"1\r\n \r\n")


def halves():
    """A body that lacks its last byte."""
    client = connect()
    client.sendall(b"POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n" + b"x" * 1048575)
    client.recv(1000)
    client.close()


def sql():
    """Functions that take long over values that come out of nothing."""
    pattern = "%a" * 90 + "%b"
    statement = "WITH t(s) AS MATERIALIZED (SELECT printf('%.*c', 4000000, 'a')) SELECT " + ", ".join(["s LIKE '" + pattern + "'"] * 40) + " FROM t"
    body = ('{"sql": "%s"}' % statement).encode()
    client = connect()
    client.settimeout(60)
    client.sendall(b"POST /v1/model/sql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    client.recv(1000)
    client.close()


def slow(target):
    """An answer that is taken slowly."""
    client = connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % target.encode())
    while time.time() < end and client.recv(3500):
        time.sleep(0.1)
    client.close()


def follow():
    client = connect()
    client.settimeout(60)
    client.sendall(b"GET /v1/follow?after=-1 HTTP/1.1\r\nhost: x\r\n\r\n")
    while time.time() < end and client.recv(1 << 16):
        pass
    client.close()


def idle():
    client = connect()
    time.sleep(max(0, end - time.time()))
    client.close()


RECIPES = {
    "append": [(refusals, 60), (halves, 64)],
    "read": [(sql, 4), (lambda: slow("/v1/packets?limit=1000"), 40), (follow, 100),
             (lambda: slow("/v1/traces/" + os.environ.get("TRACE", "0" * 32) + "/chain?format=json"), 20)],
    "none": [(idle, 300)],
}

for user in users:
    uid, role = user.split("=")
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
        for work, count in RECIPES[role]:
            for _ in range(count):
                forever(work)
        time.sleep(max(0, end - time.time()))
        os._exit(0)
for _ in users:
    os.wait()
