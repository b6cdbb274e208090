"""Sends what the OpenAPI document describes, and what it does not, to a daemon, with schemathesis.

    documented.py SOCKET DOCUMENT [OPTION...]

The options are those of `schemathesis run`. Exits with its status.
"""
import socket
import sys
import threading

import schemathesis
from schemathesis.cli import schemathesis as program

path, document, options = sys.argv[1], sys.argv[2], sys.argv[3:]


def pump(source, target):
    try:
        while True:
            data = source.recv(1 << 16)
            if not data:
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def forward(client):
    daemon = socket.socket(socket.AF_UNIX)
    daemon.connect(path)
    back = threading.Thread(target=pump, args=(daemon, client), daemon=True)
    back.start()
    pump(client, daemon)
    back.join()
    client.close()
    daemon.close()


def accept(door):
    while True:
        threading.Thread(target=forward, args=(door.accept()[0],), daemon=True).start()


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


# schemathesis speaks TCP only.
door = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(door,), daemon=True).start()
url = "http://127.0.0.1:%d" % door.getsockname()[1]
program(["run", document, "--url", url, *options])
