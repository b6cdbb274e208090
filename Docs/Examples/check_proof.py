#!/usr/bin/env python3
"""Checks a proof that a packet is in a Stardust log, and shares no code with Stardust.

    check_proof.py PROOF VERIFIER-KEY [PAYLOAD]

Needs the package `cryptography` for Ed25519; the rest is in Python's standard library.
"""
import base64
import hashlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def require(holds, problem):
    if not holds:
        raise ValueError(problem)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def open_checkpoint(note, vkey):
    """Origin, size and root of a checkpoint (C2SP tlog-checkpoint) that the key has signed."""
    name, _, encoded = vkey.split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    require(key[0] == 1, "not a key of Ed25519")
    key_id = sha256(name.encode(), b"\n", key)[:4]
    text, signatures = note.rsplit("\n\n", 1)
    for line in signatures.splitlines():
        _, signer, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        if (signer, signature[:4]) == (name, key_id):
            message = (text + "\n").encode()
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], message)
            origin, size, root = text.split("\n")[:3]
            require(origin == name, "the checkpoint is another log's")
            return origin, int(size), base64.b64decode(root, validate=True)
    raise ValueError("the key has not signed the checkpoint")


def root_from(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2."""
    require(index < size, "the place is not in the log")
    last, node = size - 1, leaf
    for sibling in path:
        require(last > 0, "the path is too long")
        if index & 1 or index == last:
            node = sha256(b"\1", sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = sha256(b"\1", node, sibling)
        index, last = index >> 1, last >> 1
    require(last == 0, "the path is too short")
    return node

def check(proof, vkey, payload=None):
    head, checkpoint = proof.split("\n\n", 1)
    first, extra, index, *path = head.split("\n")
    require(first == "c2sp.org/tlog-proof@v1" and extra.startswith("extra "), "not a proof of ours")
    entry, index = base64.b64decode(extra[6:], validate=True), int(index.removeprefix("index "))
    path = [base64.b64decode(line, validate=True) for line in path]
    origin, size, root = open_checkpoint(checkpoint, vkey)
    require(root_from(sha256(b"\0", entry), index, size, path) == root, "it leads to another root")
    # Of an entry (ledger-format.md): version, reserved bytes, its own position, SHA-256 of the payload.
    require(len(entry) == 160 and entry[:2] == b"\1\0" and not any(entry[96:128]), "not of version 1")
    require(int.from_bytes(entry[8:16], "little") == index, "the entry stands elsewhere")
    require(payload is None or sha256(payload) == entry[64:96], "the payload is another")
    return f"holds: position {index} of {origin}, of {size} entries, payload {entry[64:96].hex()}"


if __name__ == "__main__":
    try:
        payload = open(sys.argv[3], "rb").read() if len(sys.argv) > 3 else None
        print(check(open(sys.argv[1], encoding="utf-8", newline="").read(), sys.argv[2], payload))
    except (ValueError, InvalidSignature) as problem:
        sys.exit(f"DOES NOT HOLD: {problem or 'the signature is not the key’s'}")
