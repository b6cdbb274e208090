#!/usr/bin/env python3
"""A second verifier of Stardust ledgers, written from ledger-format.md alone.

    verify.py LEDGER

Checks the identity, every segment, record, entry and payload, the chain, the close marker, and the
roots of all checkpoints. Prints one finding a line and a summary; exit status 1 when something was
found. It validates no packets against their schema and no signatures. Standard library only.
"""
import base64
import hashlib
import json
import os
import re
import struct
import sys
import uuid
from datetime import datetime, timezone

ENTRY = struct.Struct("<HHIQq16sqIIQ32s32s32s")
FRAME = struct.Struct("<QII")
HEADER = struct.Struct("<8sII16sQ32s52sI")
MAGIC = bytes.fromhex("53445345471a0d0a")
PAYLOAD_MAX = 16_777_216
ID_ASSIGNED, CREATED_ASSIGNED, HELD_BACK = 1, 2, 4

TABLE = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    TABLE.append(value)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def sha256(data):
    return hashlib.sha256(data).digest()


class Tree:
    """RFC 6962 root over entry hashes that come one by one: the roots of the perfect subtrees."""

    def __init__(self):
        self.subtrees = []

    def append(self, leaf):
        size = 1
        while self.subtrees and self.subtrees[-1][0] == size:
            leaf = sha256(b"\x01" + self.subtrees.pop()[1] + leaf)
            size *= 2
        self.subtrees.append((size, leaf))

    def root(self):
        if not self.subtrees:
            return sha256(b"")
        root = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            root = sha256(b"\x01" + left + root)
        return root


def microseconds(text):
    """RFC 3339 in UTC as microseconds since the epoch, finer fractions cut."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", text)
    if not match:
        raise ValueError(text)
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc)
    since = whole - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86400 + since.seconds) * 1_000_000 + int(((match[2] or "") + "000000")[:6])


class Damage(Exception):
    """A record that cannot be read, or does not go on from the one before."""


class Verifier:
    def __init__(self, folder):
        self.folder = folder
        self.findings = []
        self.notes = []
        self.position = 0
        self.received_at = None
        self.tree = Tree()
        self.ids = {}
        self.hashes_at = {}

    def report(self, code, text):
        self.findings.append(f"{code}: {text}")

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def run(self):
        identity = self.read("identity")
        lines = identity.decode("utf-8", "replace").split("\n")
        if len(lines) != 6 or lines[0] != "stardust-ledger/1" or lines[5]:
            self.report("identity", "not the five lines of an identity")
        self.ledger_id = lines[1] if len(lines) > 1 else ""
        self.previous = sha256(identity)
        self.hashes_at[0] = self.previous
        self.marker = self.close_marker()
        self.roots = self.checkpoints()
        names = sorted(n for n in os.listdir(os.path.join(self.folder, "segments")) if re.fullmatch(r"\d{20}\.seg", n))
        if not names:
            self.report("segment", "there is no segment")
        for number, name in enumerate(names):
            if not self.segment(name, number == len(names) - 1, number == len(names) - 2):
                break
        self.compare_marker()
        if self.roots and max(self.roots) > self.position:
            self.report("checkpoints", f"signed for {max(self.roots)} entries, {self.position} are there")

    # Checkpoints: the root at each size. Signatures are for a program with Ed25519.

    def checkpoints(self):
        try:
            rest = self.read("checkpoints")
        except FileNotFoundError:
            return {}
        roots = {}
        while rest:
            match = re.match(rb"stardust-checkpoint/1 ([1-9]\d*) ([0-9a-f]{8})\n", rest)
            note = rest[match.end():match.end() + int(match[1])] if match else b""
            if not match or len(note) < int(match[1]) or crc32c(note) != int(match[2], 16):
                self.report("checkpoints", f"no checkpoint {len(rest)} bytes before the end")
                break
            _, size, root = note.split(b"\n")[:3]
            if roots.setdefault(int(size), base64.b64decode(root)) != base64.b64decode(root):
                self.report("checkpoints", f"two roots for size {int(size)}")
            rest = rest[match.end() + len(note):]
        return roots

    # The close marker.

    def close_marker(self):
        try:
            content = self.read("closed")
        except FileNotFoundError:
            return None
        match = re.fullmatch(rb"(stardust-close/1\n(0|[1-9]\d*)\nsha256:([0-9a-f]{64})\n)crc32c:([0-9a-f]{8})\n", content)
        if not match or crc32c(match[1]) != int(match[4], 16):
            self.report("closed", "the close marker is damaged")
            return None
        return int(match[2]), bytes.fromhex(match[3].decode())

    def compare_marker(self):
        if self.marker is None:
            return
        size, last = self.marker
        if size > self.position:
            self.report("closed", f"closed with {size} entries, {self.position} are there")
        elif self.hashes_at.get(size) != last:
            self.report("closed", f"the entry before position {size} is another one")

    # Segments.

    def segment(self, name, is_newest, is_second_newest):
        data = self.read(os.path.join("segments", name))
        try:
            self.header(name, data)
        except Damage as damage:
            self.report("segment", f"{name}: {damage}")
            return False
        offset, batch, content = 128, 128, len(data.rstrip(b"\0"))
        while offset < content:
            try:
                offset, batch = self.record(data, offset, batch)
            except Damage as damage:
                place = f"{name}, position {self.position}, byte {offset}: {damage}"
                if is_newest and self.is_torn(data, offset):
                    self.report("torn_tail", place)
                else:
                    self.report("record", place)
                return False
        if offset < len(data) and not is_newest:
            self.report("unfinished_roll" if is_second_newest else "segment", f"{name} goes on after its records")
        return True

    def header(self, name, data):
        if len(data) < 128:
            raise Damage("ends within its header")
        magic, version, size, ledger_id, first, previous, reserved, checksum = HEADER.unpack_from(data)
        if magic != MAGIC or checksum != crc32c(data[:124]):
            raise Damage("the header is damaged")
        if version != 1 or size != 128 or any(reserved):
            raise Damage("the header is of another version")
        if str(uuid.UUID(bytes=ledger_id)) != self.ledger_id:
            raise Damage("belongs to another ledger")
        if int(name[:20]) != first:
            raise Damage(f"has another name than its first position {first}")
        if first != self.position:
            raise Damage(f"begins at {first}, expected {self.position}")
        if previous != self.previous:
            raise Damage("does not follow what comes before")
        self.seed = checksum

    def frame(self, data, offset):
        """Batch start and length of an intact frame, else None."""
        if offset + 176 > len(data):
            return None
        batch, length, checksum = FRAME.unpack_from(data, offset)
        if not 160 <= length <= 160 + PAYLOAD_MAX:
            return None
        crc = crc32c(data[offset + 16:offset + 176], crc32c(data[offset:offset + 12], self.seed))
        return (batch, length) if crc == checksum else None

    def is_torn(self, data, damaged):
        if self.position < max([self.marker[0] if self.marker else 0, *self.roots]):
            return False
        # A frame has a length of at least 160 and so a byte that is not zero among these.
        for offset in range(damaged + 8, len(data) - 175, 8):
            if any(data[offset + 8:offset + 12]):
                frame = self.frame(data, offset)
                if frame and damaged < frame[0] <= offset:
                    return False
        return True

    # Records.

    def record(self, data, offset, batch_before):
        frame = self.frame(data, offset)
        if frame is None:
            raise Damage("the frame or entry is damaged")
        batch, length = frame
        if batch not in (offset, batch_before):
            raise Damage(f"its batch cannot have begun at byte {batch}")
        end = offset + 16 + length
        padded = end + -end % 8
        if padded > len(data):
            raise Damage("the file ends within it")
        if any(data[end:padded]):
            raise Damage("the padding is not zero")
        self.entry(data[offset + 16:offset + 176], data[offset + 176:end])
        return padded, batch

    def entry(self, entry, payload):
        (version, kind, flags, position, received, stardust_id, created, _, _, size, digest,
         reserved, previous) = ENTRY.unpack(entry)
        if version != 1 or flags & ~7 or any(reserved):
            raise Damage("the entry is of another version")
        if position != self.position:
            raise Damage(f"the entry says position {position}")
        if previous != self.previous:
            raise Damage("the chain is broken")
        if self.received_at is not None and received < self.received_at:
            raise Damage("the time of receipt goes back")
        if size != len(payload) or digest != sha256(payload):
            raise Damage("the payload is not what the entry says")
        if stardust_id in self.ids:
            self.report("duplicate", f"the id of position {position} stands at {self.ids[stardust_id]}")
        self.ids[stardust_id] = position
        if kind == 0:
            self.packet(position, flags, uuid.UUID(bytes=stardust_id), created, received, payload)
        elif kind != 1:
            self.report("kind", f"position {position} has kind {kind}, whose payload cannot be judged")
        self.previous = sha256(b"\x00" + entry)
        self.tree.append(self.previous)
        self.received_at = received
        self.position += 1
        self.hashes_at[self.position] = self.previous
        if self.position in self.roots and self.roots[self.position] != self.tree.root():
            self.report("checkpoints", f"the checkpoint of size {self.position} has another root")

    def packet(self, position, flags, stardust_id, created, received, payload):
        try:
            packet = json.loads(payload.decode("utf-8"))
            said_id = packet.get("stardust_id")
            said_time = packet.get("created_at")
            if flags & ID_ASSIGNED:
                same_id = said_id is None
            else:
                same_id = said_id is not None and uuid.UUID(said_id) == stardust_id
            if flags & CREATED_ASSIGNED:
                same_time = said_time is None and created == received
            else:
                same_time = said_time is not None and microseconds(said_time) == created
        except (ValueError, AttributeError, TypeError, RecursionError):
            self.report("packet", f"position {position} does not hold a packet")
            return
        if not same_id:
            self.report("packet", f"position {position}: the entry has another stardust_id")
        if not same_time:
            self.report("packet", f"position {position}: the entry has another created_at")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    verifier = Verifier(sys.argv[1])
    verifier.run()
    for finding in verifier.findings:
        print(finding)
    if verifier.findings:
        print(f"NOT SOUND: {len(verifier.findings)} findings")
        sys.exit(1)
    print(f"sound: {verifier.position} entries, root sha256:{verifier.tree.root().hex()}")


if __name__ == "__main__":
    main()
