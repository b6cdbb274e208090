#!/usr/bin/env python3
"""A second verifier of Stardust ledgers, written from ledger-format.md alone.

    verify.py [LEDGER] [--archive FOLDER] [--checkpoint FILE]... [--vkey KEY]...

Checks the identity, every segment, record, entry and payload, the chain, the changes of key, the close
marker, and every checkpoint with its signatures, but no packets against their schema and no cosignatures.
Also checks checkpoints that you kept, and keys that you know from elsewhere to be the ledger's. FOLDER is a
copy of the ledger's own folder in a store: alone it is checked as a ledger, beside LEDGER it has what left the disk. Prints
findings and a summary. Exit status: 0 sound, 1 findings, 2 all of them written by a later version, 64 wrong
arguments, 65 a damaged checkpoint, 66 no such file, 77 a file may not be read, 74 a file cannot be read. Standard library only.
"""
import argparse
import base64
import errno
import hashlib
import json
import os
import re
import struct
import sys
import uuid

ENTRY = struct.Struct("<HHIQq16sqIIQ32s32s32s")
FRAME = struct.Struct("<QII")
HEADER = struct.Struct("<8sII16sQ32s52sI")
MAGIC = bytes.fromhex("53445345471a0d0a")
PAYLOAD_MAX, SEGMENT_MAX, ENTRIES_MAX, NOTE_MAX = 1 << 24, 1 << 31, (1 << 32) - 1, 1_000_000
ID_ASSIGNED, CREATED_ASSIGNED, HELD_BACK = 1, 2, 4
NUMBER = r"(?:0|[1-9][0-9]{0,19})"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"

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
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", text, re.ASCII)
    if not match:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if hour > 23 or minute > 59 or second > 59 or not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1]:
        raise ValueError(text)
    # Days since 1970-01-01, with years that begin in March.
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    days = year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469
    return (days * 86400 + hour * 3600 + minute * 60 + second) * 1_000_000 + int(((match[7] or "") + "000000")[:6])


# Ed25519 (RFC 8032 section 5.1): points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    k, m = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    n, o = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = m - k, o - n, o + n, m + k
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point(data):
    """The point that 32 bytes encode; None if they encode none, or one of small order."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    found = (x if x & 1 == sign else P - x, y, 1, (x if x & 1 == sign else P - x) * y % P)
    return None if same(multiply(8, found), (0, 1, 1, 0)) else found


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(key, signature, text):
    public, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or public is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % Q
    return same(multiply(s, BASE), add(r, multiply(h, public)))


def decoded(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data) != text:
        raise ValueError("not canonical base64")
    return data


def is_name(name):
    """Whether a note can carry a name: no white space, control characters or plus signs."""
    return 1 <= len(name.encode()) <= 255 and not any(c == "+" or c.isspace() or c < " " or "\x7f" <= c <= "\x9f" for c in name)


class Key:
    """A verifier key as C2SP signed-note writes it, of type 1."""

    def __init__(self, text):
        self.text = text
        name, key_id, encoded = [*text.split("+", 2), "", ""][:3]
        data = decoded(encoded.encode())
        if not is_name(name) or len(data) != 33 or data[0] != 1 or point(data[1:]) is None:
            raise ValueError("not an Ed25519 verifier key")
        self.name, self.data = name, data[1:]
        self.id = sha256(name.encode() + b"\n" + data)[:4]
        if key_id != self.id.hex():
            raise ValueError("the key's ID is another one")


def note(content):
    """Text and signatures, as (name, key ID, signature), of a C2SP signed note."""
    end = content.rfind(b"\n\n")
    if end < 0 or not content.endswith(b"\n") or len(content) > NOTE_MAX:
        raise ValueError("not a signed note")
    content.decode()
    signatures = []
    for line in content[end + 2:-1].split(b"\n"):
        match = re.fullmatch("— ([^ +]+) ([A-Za-z0-9+/=]+)".encode(), line)
        data = decoded(match[2]) if match else b""
        if len(data) < 5 or not is_name(match[1].decode()) or len(signatures) == 100:
            raise ValueError("the signature lines do not begin with an em dash, are malformed, or more than a hundred")
        signatures.append((match[1].decode(), data[:4], data[4:]))
    return content[:end + 1], signatures


def checkpoint(content):
    """Size, root, text and signatures of a checkpoint as C2SP tlog-checkpoint writes it."""
    text, signatures = note(content)
    lines = text.decode().split("\n")
    if len(lines) < 4 or not re.fullmatch(NUMBER, lines[1]) or len(decoded(lines[2].encode())) != 32:
        raise ValueError("not a checkpoint")
    return int(lines[1]), decoded(lines[2].encode()), text, signatures


def signers(text, signatures, keys):
    """Those of the keys that signed. The first line of a key counts, and must hold."""
    found = []
    for name, key_id, signature in signatures:
        for key in keys:
            if (key.name, key.id) == (name, key_id) and key not in found:
                if not is_signed(key.data, signature, text):
                    raise ValueError(f"the signature of {name}+{key_id.hex()} is invalid")
                found.append(key)
    return found


class Damage(ValueError):
    """A record that cannot be read, or does not go on from the one before."""

    def __init__(self, text, is_written=False, is_unknown=None):
        super().__init__(text)
        # Written on purpose; and perhaps by a later version.
        self.is_written, self.is_unknown = is_written, is_written if is_unknown is None else is_unknown


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


class Archive:
    """The files of a ledger that its folder in a store makes, with `<ledger id>` for its name."""

    def __init__(self, folder):
        self.folder, self.problems, self.segments, self.checkpoints = folder, [], {}, b""
        identity = self.content("identity")
        if identity is None:
            raise FileNotFoundError(errno.ENOENT, "there is no archive of a ledger here", folder)
        key = argument(lambda path: Key(identity.decode().split("\n")[3]), os.path.join(folder, "identity"), 65)
        starts = {0: 0}
        for name in (n for n in self.names("epochs") if re.fullmatch(r"\d{20}", n)):
            try:
                starts[int(name)] = self.start(int(name), self.content(f"epochs/{name}"), key)
            except (ValueError, IndexError) as error:
                self.problems.append(("archive_foreign", f"epochs/{name}: {error}"))
        used = {int(n) for n in self.names("open") if n.isdigit()} | {int(n[21:41]) for n in self.names("segments")
                                                                     if re.fullmatch(r"\d{20}\.\d{20}\.sealed", n)}
        self.problems += [("archive_missing", f"epochs/{number:020}, of which there are objects") for number in used - {*starts}]
        # Each epoch ends where the first later one begins.
        self.ends = {number: min([start for other, start in starts.items() if other > number], default=ENTRIES_MAX)
                     for number in sorted(starts, reverse=True)}
        position = 0
        while (end := self.sealed(position) or self.parts(position)) and end > position:
            position = end
        beyond = [n for n in self.names("segments") if re.fullmatch(r"\d{20}\.\d{20}\.sealed", n) and int(n[:20]) > position]
        if beyond and int(beyond[-1][21:41]) == max(starts):
            self.problems.append(("archive_gap", f"there is {beyond[-1]}, but nothing at position {position}"))
        self.files = {"identity": identity, **{f"segments/{first:020}.seg": data for first, data in self.segments.items()}}
        if self.checkpoints:
            self.files["checkpoints"] = self.checkpoints

    def content(self, name):
        path = os.path.join(self.folder, name)
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def names(self, folder):
        path = os.path.join(self.folder, folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    @staticmethod
    def start(number, content, key):
        """Where an epoch begins, from its note; the note's own changes of key lead to the key that signed it."""
        text, signatures = note(content)
        lines = text.decode().split("\n")
        for line in lines[7:-1]:
            change, signed = note(base64.b64decode(line))
            old, new = (Key(word) for word in change.decode().split("\n")[4:6])
            if old.text != key.text or len(signers(change, signed, [old, new])) != 2:
                raise ValueError("a change of key in it does not hold")
            key = new
        if (lines[0], lines[2]) != ("stardust-epoch/1", str(number)) or not signers(text, signatures, [key]):
            raise ValueError("the ledger's key did not sign it as this epoch")
        return int(lines[3])

    @staticmethod
    def records(data):
        """Where each record is, as (offset, bytes with its frame), as far as frames lead."""
        offset = 128
        while offset + 176 <= len(data):
            length = FRAME.unpack_from(data, offset)[1]
            if not 160 <= length <= 160 + PAYLOAD_MAX or offset + 16 + length > len(data):
                return
            yield offset, 16 + length
            offset += 16 + length + -length % 8

    def sealed(self, first):
        """Takes the sealed segment at a position, and returns where it ends; None if there is none that counts."""
        for epoch, end in self.ends.items():
            name = f"segments/{first:020}.{epoch:020}"
            mark = self.content(name + ".sealed")
            if mark is None:
                continue
            lines = mark.decode("latin-1").split("\n")
            pattern = rf"stardust-sealed/1\n({NUMBER}\n){{3}}{NUMBER} {NUMBER}\n(sha256:[0-9a-f]{{64}}\n){{4}}crc32c:[0-9a-f]{{8}}\n"
            body = mark[:mark.rfind(b"crc32c:")]
            if not re.fullmatch(pattern, mark.decode("latin-1")) or int(lines[9][7:], 16) != crc32c(body) or int(lines[1]) != first:
                self.problems.append(("archive_damaged", f"{name}.sealed is not this segment's mark"))
                continue
            count, (begin, stop) = int(lines[2]), (int(number) for number in lines[4].split())
            if first + count > end:
                continue
            found = [self.content(f"{name}.{kind}") for kind in ("seg", "entries", "checkpoints")]
            for kind, data, digest in zip(("seg", "entries", "checkpoints"), found, lines[5:8]):
                if data is None:
                    self.problems.append(("archive_missing", f"{name}.{kind}"))
                elif "sha256:" + sha256(data).hex() != digest:
                    self.problems.append(("archive_damaged", f"{name}.{kind} has other bytes than were sealed"))
            data, entries, records = (content or b"" for content in found)
            if entries and entries != self.entries(data, int(lines[3]), count, bytes.fromhex(lines[8][7:])):
                self.problems.append(("archive_damaged", f"{name}.entries is not what the segment has"))
            self.segments[first] = data
            self.checkpoints = self.checkpoints[:begin] + records[:stop - begin]
            return first + count
        return None

    def entries(self, data, size, count, last):
        """The file of entries that a segment has."""
        found = list(self.records(data))
        head = bytes.fromhex("5344454E541A0D0A") + struct.pack("<II", 1, 256) + data[:128]
        head += struct.pack("<QQ", size, count) + sha256(data) + last
        head += bytes(252 - len(head))
        kept = [data[o + 176:o + size] for o, size in found if struct.unpack_from("<H", data, o + 18)[0]]
        if len(found) != count or found and sha256(b"\0" + data[found[-1][0] + 16:found[-1][0] + 176]) != last:
            return None
        return b"".join([head, struct.pack("<I", crc32c(head)), *(data[o:o + 176] for o, _ in found), *kept])

    def cut(self, end):
        """Drops the checkpoints that were signed for more entries than count."""
        offset, records = 0, self.checkpoints
        while match := re.match(rb"stardust-checkpoint/1 (0|[1-9][0-9]{0,6}) [0-9a-f]{8}\n", records[offset:offset + 64]):
            content = records[offset + match.end():offset + match.end() + int(match[1])]
            lines = content.split(b"\n")
            if len(lines) < 2 or not lines[1].isdigit() or int(lines[1]) > end:
                break
            offset += match.end() + len(content)
        self.checkpoints = records[:offset]

    def parts(self, first):
        """Takes what there is in parts of the segment at a position, of the newest epoch; None if there is nothing."""
        for epoch, end in self.ends.items():
            folder, data = f"open/{epoch:020}/{first:020}", b""
            names = self.names(folder) if first < end else []
            for name in names:
                line, _, rest = self.content(f"{folder}/{name}").partition(b"\n")
                match = re.fullmatch(rf"stardust-part/1 ({NUMBER}) ({NUMBER}) ({NUMBER}) ({NUMBER}) ({NUMBER})".encode(), line)
                _, offset, size, begin, more = (int(number) for number in match.groups()) if match else (0, 0, -1, 0, 0)
                if size + more != len(rest) or name != f"{offset:020}-{begin:020}":
                    self.problems.append(("archive_damaged", f"{folder}/{name} is not a part"))
                    break
                if offset != len(data):
                    self.problems.append(("archive_gap", f"{folder}/{name}: the part before it is missing"))
                    break
                data += rest[:size]
                self.checkpoints = self.checkpoints[:begin] + rest[size:]
            if data:
                found = list(self.records(data))[:end - first]
                if found and first + len(found) == end:
                    data = data[:found[-1][0] + found[-1][1] + -found[-1][1] % 8]
                    self.cut(end)
                self.segments[first] = data
                return first + len(found)
        return None


class Verifier:
    def __init__(self, folder, anchors=(), trusted=(), archive=None):
        self.folder, self.anchors, self.trusted, self.anchored, self.archive = folder, anchors, trusted, 0, archive
        self.findings, self.unknown, self.position, self.received_at, self.ids = [], 0, 0, None, {}
        # A later version wrote entries: behind them nothing is missing as far as anybody can tell.
        self.has_unknown_entries = False
        self.tree = Tree()
        # By size: the hash of the last entry, the root, and when the last entry was received.
        self.hashes_at, self.roots_at = {}, {}
        # Changes of key: the first size at which the key is the ledger's, the key, until when the old one may sign.
        self.keys = []
        self.epoch = 0

    def report(self, code, text, is_unknown=False):
        self.findings.append(f"{code}: {'cannot judge: ' if is_unknown else ''}{text}")
        self.unknown += is_unknown

    def read(self, name, limit=1 << 20, passed=()):
        """The content of a file, cut behind a limit; None if it is missing, or fails in a way that is passed."""
        if self.archive and (self.folder is None or not os.path.lexists(os.path.join(self.folder, name))):
            return self.archive.files.get(name)
        path = os.path.join(self.folder, name)
        try:
            if os.path.exists(path) and not os.path.isfile(path):
                raise OSError(errno.EINVAL, "not a regular file", path)
            with open(path, "rb") as file:
                return file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
        except OSError as error:
            if error.errno not in (errno.ENOENT, *passed):
                raise
            return None

    def run(self):
        identity = self.identity()
        self.previous = self.hashes_at[0] = sha256(identity)
        self.roots_at[0] = (self.tree.root(), None)
        self.marker, self.records = self.close_marker(), self.checkpoints()
        self.sizes = {size for _, size, _, _, _ in [*self.records, *self.anchors]}
        names = self.segment_names()
        valid = [n for n in names if re.fullmatch(r"[0-9]{20}\.seg", n) and int(n[:20]) < ENTRIES_MAX]
        for name in sorted(n for n in names if n.endswith(".seg") and n not in valid):
            self.report("segment", f"{name}: no segment has this name")
        if not valid:
            self.report("segment", "there is no segment")
        for number, name in enumerate(valid := sorted(valid)):
            if not self.segment(name, valid[number + 1:]):
                break
        if not self.has_unknown_entries:
            self.compare_marker()
        self.judge_checkpoints()

    def segment_names(self):
        """Those of the folder, and of those that have left it."""
        if self.folder is None:
            return [name[9:] for name in self.archive.files if name.startswith("segments/")]
        segments, archived = (os.path.join(self.folder, name) for name in ("segments", "archived"))
        names = set(os.listdir(segments) if os.path.lexists(segments) else [])
        for name in sorted(n for n in names if self.archive and f"segments/{n}" in self.archive.files):
            one, two = self.read(f"segments/{name}", SEGMENT_MAX) or b"", self.archive.files[f"segments/{name}"]
            count = min(len(one.rstrip(b"\0")), len(two.rstrip(b"\0")))
            if one[:count] != two[:count]:
                self.report("archive_fork", f"segments/{name}: folder and archive have other bytes")
        for name in os.listdir(archived) if os.path.isdir(archived) else []:
            left = re.fullmatch(r"([0-9]{20})\.entries", name)
            if left and f"{left[1]}.seg" not in names:
                names.add(f"{left[1]}.seg")
                if not self.archive:
                    self.report("archived", f"segments/{left[1]}.seg has left the disk: give --archive")
                elif self.read(f"archived/{name}", SEGMENT_MAX)[160:192] != sha256(self.read(f"segments/{left[1]}.seg") or b""):
                    self.report("archive_damaged", f"segments/{left[1]}.seg: the archive has another one than left the disk")
        return sorted(names)

    def later(self, name, content, known):
        """Reports a file whose first line names another version of its format."""
        match = re.match(re.escape(known[:-1]) + rb"([1-9][0-9]{0,4})\n", content)
        if match and match[1] != b"1":
            self.report(name, f"it is of version {match[1].decode()}", True)
            return True
        return False

    def identity(self):
        content = self.read("identity")
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "there is no ledger here", self.folder)
        self.ledger_id = self.origin = None
        if self.later("identity", content, b"stardust-ledger/1"):
            return content
        try:
            match = re.fullmatch(rf"stardust-ledger/1\n({UUID})\n([^\n]+)\n([^\n]+)\n({TIME})\n", content.decode(), re.ASCII)
            if not match:
                raise ValueError("not the five lines of an identity")
            key, _ = Key(match[3]), microseconds(match[4])
            if key.name != match[2]:
                raise ValueError("the key has another name than the origin")
            self.ledger_id, self.origin, self.keys = match[1], match[2], [(0, key, None)]
        except ValueError as error:
            self.report("identity", error)
        return content

    def checkpoints(self):
        """The records: offset, size, root, text, signatures."""
        copy, rest = self.read("checkpoint", NOTE_MAX), self.read("checkpoints", 1 << 40) or b""
        whole, offset, records, notes = len(rest), 0, [], []
        while rest:
            match = self.first_line(rest)
            content = rest[match.end():match.end() + int(match[1])] if match else b""
            try:
                if not match or len(content) < int(match[1]) or crc32c(content) != int(match[2], 16):
                    raise Damage("no whole record")
                records.append((offset, *checkpoint(content)))
            except ValueError as error:
                damage = error if isinstance(error, Damage) else Damage(error, True)
                self.checkpoint_tail(rest, offset, notes[-1] if notes else None, copy, damage)
                break
            notes.append(content)
            rest = rest[match.end() + len(content):]
            offset = whole - len(rest)
        if copy is not None and copy not in notes:
            self.report("checkpoint", "it is the note of no record in checkpoints")
        return records

    def checkpoint_tail(self, rest, offset, last, copy, damage):
        place = f"byte {offset}: {damage}"
        version = re.match(rb"stardust-checkpoint/([1-9][0-9]{0,4})[ \n]", rest[:39])
        later = bool(version) and version[1] != b"1"
        head = self.first_line(rest)
        # A whole first line that no ledger has was written on purpose.
        malformed = not head and re.match(rb"stardust-checkpoint/1 [^\n]{0,16}\n", rest)
        word = b"stardust-checkpoint/1 "
        beginning = len(rest) < (head.end() + int(head[1]) if head else 39) and rest[:22] == word[:len(rest)] and (head or b"\n" not in rest)
        unfinished = copy == last and (beginning if last is None else not (damage.is_written or later or malformed))
        # A whole record behind it was written after it.
        for found in re.finditer(rb"\nstardust-checkpoint/1 ([1-9]\d{0,6}) ([0-9a-f]{8})\n", rest):
            content = rest[found.end():found.end() + int(found[1])]
            if len(content) == int(found[1]) and crc32c(content) == int(found[2], 16):
                unfinished = False
        self.report("checkpoint_unfinished" if unfinished else "checkpoints", place, later)

    def first_line(self, rest):
        """Length and checksum at the beginning of a record; None if there is no such line."""
        match = re.match(rb"stardust-checkpoint/1 (0|[1-9][0-9]{0,6}) ([0-9a-f]{8})\n", rest)
        return match if match and int(match[1]) <= NOTE_MAX else None

    def judge_checkpoints(self):
        before = -1
        for offset, size, *signed in self.records:
            if size < before:
                self.report("checkpoints", f"checkpoint at byte {offset}: size {size} follows {before}")
            before = size
            self.judge_checkpoint("checkpoints", f"checkpoint at byte {offset}", size, *signed)
        for key in self.trusted:
            if key.text not in [own.text for _, own, _ in self.keys]:
                self.report("anchor", f"the ledger has never had the key {key.text}")
        for name, size, *signed in self.anchors:
            self.anchored = max(self.anchored, size * self.judge_checkpoint("anchor", name, size, *signed))

    def judge_checkpoint(self, code, place, size, root, text, signatures):
        """Whether there is nothing to report."""
        # A key that came later is one that nobody knew at this size.
        keys, lines = [key for start, key, _ in self.keys if start <= size], text.decode().split("\n")
        before = len(self.findings)
        if lines[0] != self.origin or len(lines) != 4:
            self.report(code, f"{place}: it is not this ledger's")
        if size not in self.roots_at:
            if not self.has_unknown_entries:
                self.report(code, f"{place}: signed for {size} entries, {self.position} are there")
            return False
        expected, received = self.roots_at[size]
        if expected != root:
            self.report(code, f"{place}: the entries have another root")
        if not keys:
            return False
        try:
            found = signers(text, signatures, keys)
        except ValueError as error:
            self.report(code, f"{place}: {error}")
            return False
        current = [number for number, (start, _, _) in enumerate(self.keys) if start <= size][-1]
        late = [n for n in range(1, current + 1) if received is not None and received < self.keys[n][2]]
        permitted = [self.keys[n][1] for n in [current, *(number - 1 for number in late)]]
        if self.keys[current][1] not in found:
            self.report(code, f"{place}: the ledger's key has not signed it")
        if any(key not in permitted for key in found):
            self.report(code, f"{place}: a key signed it that was not the ledger's there")
        return len(self.findings) == before

    def close_marker(self):
        content = self.read("closed")
        if content is None or self.later("closed", content, b"stardust-close/1"):
            return None
        match = re.fullmatch(rb"(stardust-close/1\n(0|[1-9]\d{0,19})\nsha256:([0-9a-f]{64})\n)crc32c:([0-9a-f]{8})\n", content)
        if not match or crc32c(match[1]) != int(match[4], 16) or int(match[2]) >= 1 << 64:
            self.report("closed", "the close marker is damaged")
            return None
        return int(match[2]), bytes.fromhex(match[3].decode())

    def compare_marker(self):
        size, last = self.marker or (0, self.hashes_at[0])
        if size > self.position:
            self.report("closed", f"closed with {size} entries, {self.position} are there")
        elif self.hashes_at.get(size) != last:
            self.report("closed", f"the entry before position {size} is another one")

    def segment(self, name, following):
        data = self.read(os.path.join("segments", name), SEGMENT_MAX, (errno.EINVAL, errno.ELOOP))
        if data is None:
            self.report("segment", f"{name} cannot be read")
            return False
        try:
            self.header(name, data)
        except Damage as damage:
            self.report("segment", f"{name}: {damage}", damage.is_unknown)
            self.has_unknown_entries |= damage.is_unknown
            return False
        offset, batch, content = 128, 128, len(data.rstrip(b"\0"))
        while offset < content:
            try:
                offset, batch = self.record(data, offset, batch)
            except Damage as damage:
                place = f"{name}, position {self.position}, byte {offset}: {damage}"
                if not following and not damage.is_written and self.is_torn(data, offset):
                    self.report("torn_tail", place)
                else:
                    self.report("record", place, damage.is_unknown)
                    self.has_unknown_entries |= damage.is_unknown
                return False
        if offset < len(data) and following:
            is_roll = len(following) == 1 and int(following[0][:20]) == self.position and self.is_empty(following[0])
            self.report("unfinished_roll" if is_roll else "segment", f"{name} goes on after its records")
        return True

    def is_empty(self, name):
        data = self.read(os.path.join("segments", name), SEGMENT_MAX, (errno.EINVAL, errno.ELOOP)) or b""
        return len(data) >= 128 and not data[128:].strip(b"\0")

    def header(self, name, data):
        if len(data) < 128:
            raise Damage("ends within its header")
        magic, version, size, ledger_id, first, previous, reserved, checksum = HEADER.unpack_from(data)
        if magic != MAGIC or checksum != crc32c(data[:124]):
            raise Damage("the header is damaged")
        if version != 1:
            raise Damage(f"the header has version {version}", True)
        for is_wrong, text in (
            (size != 128 or any(reserved) or len(data) > SEGMENT_MAX, "the header is not one of version 1, or the file too long"),
            (self.ledger_id not in (None, str(uuid.UUID(bytes=ledger_id))), "belongs to another ledger"),
            (int(name[:20]) != first, f"has another name than its first position {first}"),
            (first != self.position, f"begins at {first}, expected {self.position}"),
            (previous != self.previous, "does not follow what comes before"),
        ):
            if is_wrong:
                raise Damage(text)
        self.seed = checksum

    def is_intact(self, data, offset):
        """Whether a frame's checksum matches at an offset."""
        if offset + 176 > len(data):
            return False
        crc = crc32c(data[offset + 16:offset + 176], crc32c(data[offset:offset + 12], self.seed))
        return crc == FRAME.unpack_from(data, offset)[2]

    def is_torn(self, data, damaged):
        sizes = [size for _, size, _, _, _ in self.records]
        if self.position < max([self.marker[0] if self.marker else 0, *sizes]):
            return False
        for offset in range(damaged + 8, len(data) - 175, 8):
            batch, length, _ = FRAME.unpack_from(data, offset)
            # What can be a frame is checked; most places cannot.
            if 160 <= length <= 160 + PAYLOAD_MAX and damaged < batch <= offset and self.is_intact(data, offset):
                return False
        return True

    def record(self, data, offset, batch_before):
        if offset + 176 > len(data):
            raise Damage("the file ends within its frame")
        batch, length, _ = FRAME.unpack_from(data, offset)
        if not self.is_intact(data, offset):
            raise Damage("the frame or entry is damaged")
        if not 160 <= length <= 160 + PAYLOAD_MAX:
            raise Damage(f"a length of {length}", True, False)
        if batch not in (offset, batch_before):
            raise Damage(f"its batch cannot have begun at byte {batch}", True, False)
        end = offset + 16 + length
        padded = end + -end % 8
        if padded > len(data):
            raise Damage("the file ends within it")
        version, kind, flags = struct.unpack_from("<HHI", data, offset + 16)
        if version != 1 or flags & ~7 or any(data[offset + 112:offset + 144]) or kind not in (0, 1, 3):
            raise Damage("the entry is of another version, or of a kind that this program does not know", True)
        if any(data[end:padded]):
            raise Damage("the padding is not zero")
        self.entry(data[offset + 16:offset + 176], data[offset + 176:end])
        return padded, batch

    def entry(self, entry, payload):
        (_, kind, flags, position, received, stardust_id, created, _, _, size, digest,
         _, previous) = ENTRY.unpack(entry)
        for is_wrong, text in (
            (position != self.position, f"the entry says position {position}"),
            (previous != self.previous, "the chain is broken"),
            (self.received_at is not None and received < self.received_at, "the time of receipt goes back"),
            (size != len(payload) or digest != sha256(payload), "the payload is not what the entry says"),
        ):
            if is_wrong:
                raise Damage(text)
        if stardust_id in self.ids:
            self.report("duplicate", f"the id of position {position} stands at {self.ids[stardust_id]}")
        self.ids[stardust_id] = position
        if kind == 0:
            self.packet(position, flags, stardust_id, created, received, payload)
        elif kind == 1:
            self.rotation(position, flags, created == received, previous, payload)
        else:
            self.begin_epoch(position, previous, payload)
        self.previous = sha256(b"\x00" + entry)
        self.tree.append(self.previous)
        self.received_at = received
        self.position += 1
        self.hashes_at[self.position] = self.previous
        if self.position in self.sizes:
            self.roots_at[self.position] = (self.tree.root(), received)

    def rotation(self, position, flags, is_assigned, previous, payload):
        try:
            text, signatures = note(payload)
            lines = text.decode().split("\n")
            if len(lines) != 8 or lines[:2] != ["stardust-key-rotation/1", self.origin] or lines[7]:
                raise ValueError("not this ledger's change of key")
            old, new, until = Key(lines[4]), Key(lines[5]), microseconds(lines[6])
            for is_wrong, reason in (
                (not re.fullmatch(TIME, lines[6], re.ASCII), "not a time"),
                (lines[2:4] != [str(position), "sha256:" + previous.hex()], "signed for another place"),
                (len(signers(text, signatures, [old, new])) != 2, "not signed by both keys"),
                ({old.name, new.name} != {self.origin}, "its keys do not have the ledger's name"),
                (old.text != self.keys[-1][1].text, "the old key is not the ledger's"),
                (new.text in [key.text for _, key, _ in self.keys], "the new key was the ledger's before"),
                (flags & 3 != 3 or not is_assigned, "its stardust_id and created_at are not assigned"),
            ):
                if is_wrong:
                    raise ValueError(reason)
            self.keys.append((position + 1, new, until))
        except (ValueError, IndexError) as error:
            self.report("key", f"position {position}: {error}")

    def begin_epoch(self, position, previous, payload):
        try:
            text, signatures = note(payload)
            lines = text.decode().split("\n")
            keys = [Key(base64.b64decode(line).decode().split("\n")[5]).text for line in lines[7:-1]]
            if (lines[:2] != ["stardust-epoch/1", self.origin] or int(lines[2]) <= self.epoch
                    or lines[3:5] != [str(position), "sha256:" + previous.hex()]
                    or keys != [key.text for _, key, _ in self.keys[1:]]
                    or not signers(text, signatures, [self.keys[-1][1]])):
                raise ValueError("not a later epoch that the ledger's key signed for this place")
            self.epoch = int(lines[2])
        except (ValueError, IndexError) as error:
            self.report("epoch", f"position {position}: {error}")

    def packet(self, position, flags, stardust_id, created, received, payload):
        try:  # NaN and Infinity are no pairs either.
            packet = json.loads(payload.decode("utf-8"), object_pairs_hook=unique, parse_constant=dict)
            if payload[:1] != b"{" or payload[-1:] != b"}":
                raise ValueError("white space around it")
            said_id, said_time = packet.get("stardust_id"), packet.get("created_at")
            same_id, same_time = "stardust_id" not in packet, said_time is None and created == received
            if not flags & ID_ASSIGNED:
                same_id = re.fullmatch(UUID, said_id.lower()) and uuid.UUID(said_id).bytes == stardust_id
            if not flags & CREATED_ASSIGNED:
                same_time = said_time is not None and microseconds(said_time) == created
        except (ValueError, AttributeError, TypeError, RecursionError):
            self.report("packet", f"position {position} does not hold a packet")
            return
        if not same_id:
            self.report("packet", f"position {position}: the entry has another stardust_id")
        if not same_time:
            self.report("packet", f"position {position}: the entry has another created_at")


def mended(path):
    """A file's content, less what mail and editors do to it: a byte order mark, CRLF, line ends at the end."""
    with open(path, "rb") as file:
        return file.read(NOTE_MAX + 1).removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"


def argument(make, name, code, advice=""):
    try:
        return make(name)
    except (ValueError, IndexError) as error:
        print(f"{name}: {error}{advice}", file=sys.stderr)
        sys.exit(code)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda text: (print(f"verify.py: {text}; see --help", file=sys.stderr), sys.exit(64))
    parser.add_argument("ledger", nargs="?")
    parser.add_argument("--archive", metavar="FOLDER")
    parser.add_argument("--checkpoint", metavar="FILE", action="append", default=[])
    parser.add_argument("--vkey", metavar="KEY", action="append", default=[])
    given = parser.parse_args()
    if not (given.ledger or given.archive):
        parser.error("give a ledger's folder, or --archive")
    advice = ". Every byte counts: get it again, as an attachment"
    try:
        keys = [argument(Key, text.strip(), 64) for text in given.vkey]
        anchors = [(n, *argument(lambda name: checkpoint(mended(name)), n, 65, advice)) for n in given.checkpoint]
        archive = Archive(given.archive) if given.archive else None
        (verifier := Verifier(given.ledger, anchors, keys, archive)).run()
        for code, text in archive.problems if archive else []:
            verifier.report(code, text)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit({errno.ENOENT: 66, errno.ENOTDIR: 66, errno.EACCES: 77}.get(error.errno, 74))
    if count := len(verifier.findings):
        verdict = (2, "CANNOT JUDGE: a later version wrote it") if verifier.unknown == count else (1, f"NOT SOUND: findings: {count}")
        print(*verifier.findings, verdict[1], sep="\n")
        sys.exit(verdict[0])
    print(f"sound: {verifier.position} entries, root sha256:{verifier.tree.root().hex()}")
    print(f"Your checkpoints cover {verifier.anchored} of {verifier.position} entries.", "" if keys else "You gave no --vkey.")
    print("Not judged: packets against their schema, cosignatures of witnesses.")


if __name__ == "__main__":
    main()
