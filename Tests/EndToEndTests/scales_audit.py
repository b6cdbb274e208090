"""Checks what a daemon serves with tlog-scales from PyPI: SOCKET VERIFIER-KEY [WITNESS-KEY ...]."""
import http.client
import socket
import sys

from tlog_scales import signing, tiles
from tlog_scales.reader import TilesReader


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


class Backend:
    """The daemon's tiles, over its Unix socket."""

    def __init__(self):
        self.connection = Connection("stardust")

    def get(self, *path):
        self.connection.request("GET", "/" + "/".join(path))
        response = self.connection.getresponse()
        body = response.read()
        return body if response.status == 200 else None


reader = TilesReader(Backend())
checkpoint = reader.get_checkpoint()
for key in sys.argv[2:]:
    checkpoint.verify(signing.Vkey.from_string(key))
assert reader.calculate_root_hash() == checkpoint.root_hash
for index in range(checkpoint.size):
    leaf = tiles.leaf_hash(reader.get_entry(index))
    reader.get_inclusion_proof(index, checkpoint.size).check(leaf, checkpoint.root_hash)
pairs = 0
for size in range(1, checkpoint.size + 1):
    for old in range(1, size + 1):
        proof = reader.get_consistency_proof(old, size)
        proof.check(reader.mth(0, old), reader.mth(0, size))
        pairs += 1
print(f"sound: {checkpoint.size} entries, {pairs} pairs of sizes")
