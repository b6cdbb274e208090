#!/usr/bin/env python3
"""Packets, valid and not, judged by the jsonschema library.

    schema_cases.py SCHEMA PACKETS COUNT SEED

Reads the schema and packets (NDJSON), changes the packets at random, and prints one line a case:
"1" or "0" for valid or not, a tab, and the packet. Same arguments, same lines.
"""
import copy
import json
import random
import re
import sys

import jsonschema

# Python's regular expressions differ from ECMA-262's in these two.
def ecma(value):
    if isinstance(value, dict):
        return {k: (re.sub(r"\$$", r"\\Z", v).replace(r"\w", "A-Za-z0-9_").replace("32$)", "32\\Z)")
                    if k == "pattern" else ecma(v)) for k, v in value.items()}
    if isinstance(value, list):
        return [ecma(v) for v in value]
    return value


VALUES = [None, True, False, 0, 1, -1, 0.5, 1.0, 1.5, -0.0, 1e3, 3.0, 10**20, "", "a", "x" * 128, "x" * 129, "é" * 128, "é" * 129,
          "x" * 512, "x" * 513, "x" * 2048, "x" * 2049, "x" * 65536, "x" * 65537, [], {}, [1], {"a": 1}, [[]], [None], {"id": "a"},
          "c11b0000-0000-4000-8000-00000000c11b", "C11B0000-0000-4000-8000-00000000C11B", "c11b0000-0000-1000-8000-00000000c11b",
          "c11b0000-0000-4000-c000-00000000c11b", "c11b0000-0000-4000-8000-00000000c11", "c11b0000-0000-4000-8000-00000000c11b\n",
          "7d3f0a526f0d4f6e8c1b1a2b3c4d5e6f", "7D3F0A526F0D4F6E8C1B1A2B3C4D5E6F", "0" * 32, "0" * 31 + "1", "0123456789abcdef", "0123456789abcdeF",
          "sha256:" + "a" * 64, "blake3:" + "0" * 64, "sha256:" + "A" * 64, "sha512:" + "a" * 64, "sha256:" + "a" * 63,
          "2026-09-14T10:42:07Z", "2026-09-14T10:42:07.1+00:00", "2026-09-14T10:42:07.1234567890Z", "2026-09-14 10:42:07Z", "2026-09-14T10:42:07+01:00",
          "creators", "stardust_metadata", "x_custom", "x_", "x_A", "x_a" + "b" * 61, "x_a" + "b" * 62, "clip", "derived_from", "retracts", "vote", "note",
          "accepted", "input", "human", "frame", "video/mp4", "video/", "a/b/c", "a b/c", "é/a", "application/vnd.x+json", "gs://bucket/x",
          "stardust:c11b0000-0000-4000-8000-00000000c11b#node", "stardust:c11b0000-0000-4000-8000-00000000c11b#", "stardust:zzz#a", "a#b", "#",
          "stardust:c11b0000-0000-4000-8000-00000000c11b#a#b", "stardust:------------------------------------#x", "x" * 127 + "é", "a\nb",
          "stardust:c11b0000-0000-4000-8000-00000000c11b#a\nb", "stardust:c11b0000-0000-4000-8000-00000000c11b#" + "x" * 129,
          {"stardust_id": "c11b0000-0000-4000-8000-00000000c11b"}, {"packet_hash": "sha256:" + "a" * 64}, {"entity_type": "x", "entity_id": "c11b0000-0000-1000-8000-00000000c11b"},
          {"entity_type": "x"}, {"uri": "gs://x"}, {"uri": 1}, {"digest": "sha256:" + "a" * 64}, {"start": 1, "end": 2}, {"start": 1}, {"start": 1, "end": 2, "unit": "m"},
          {"worker": "w"}, {"worker": ""}, {"worker": "w", "seq": -1}, {"worker": "w", "seq": 1.0}, {"worker": "w", "seq": 1.5}, {"worker": "w", "seq": 12.0e-1},
          {"f": {"_schema": "s"}}, {"F": {"_schema": "s"}}, {"f": {}}, {"f": {"_schema": 1}}, {"f": 1}, {"f.a_0": {"_schema": ""}}, {"": {"_schema": ""}},
          {"nodes": []}, {"nodes": [{"id": "a", "kind": "note"}]}, {"nodes": [{"id": "a"}]}, [{"id": "a", "kind": "note"}], [{"id": "a", "kind": "notes"}],
          {"a": {"vote": "yes", "score": 1, "weight": 0, "confidence": 1}}, {"a": {"confidence": 1.0000001}}, {"a": {"weight": -1}}, {"a": {"abstain": 1}},
          {"a": {"option": ""}}, {"a": {"vote": []}}, {"a": [1]}, {"a": None}, {"a": "x"}]
NAMES = ["stardust_id", "entity_type", "entity_id", "lineage", "decision_chain", "created_at", "trace_id", "span_id", "_schema", "_producer", "_meta_parents",
         "event", "evidence", "decision_context", "facets", "worker", "version", "instance", "run_id", "seq", "packet_hash", "uri", "relation", "region", "node",
         "why", "start", "end", "unit", "id", "digest", "media_type", "bytes", "role", "retain_until", "question", "decision_key", "nodes", "outcome", "halolux",
         "kind", "agent", "title", "rationale", "parents", "inputs", "votes", "options", "alternatives", "chosen", "score", "scores", "confidence", "threshold",
         "method", "status", "at", "duration_ms", "type", "model", "on_behalf_of", "vote", "option", "weight", "abstain", "label", "why_not", "other", "é"]


def containers(value):
    yield value
    for child in (value.values() if isinstance(value, dict) else value):
        if isinstance(child, (dict, list)):
            yield from containers(child)


def change(packet, r):
    target = r.choice([c for c in containers(packet)])
    if isinstance(target, dict):
        what = r.random()
        if what < 0.25 and target:
            del target[r.choice(list(target))]
        elif what < 0.6 and target:
            target[r.choice(list(target))] = copy.deepcopy(r.choice(VALUES))
        else:
            target[r.choice(NAMES)] = copy.deepcopy(r.choice(VALUES))
    elif target and r.random() < 0.7:
        target[r.randrange(len(target))] = copy.deepcopy(r.choice(VALUES))
    else:
        target.append(copy.deepcopy(r.choice(VALUES)))


def main():
    schema, packets, count, seed = sys.argv[1:]
    validator = jsonschema.Draft202012Validator(ecma(json.load(open(schema, encoding="utf-8"))))
    lines = [json.loads(line) for line in open(packets, encoding="utf-8")]
    r = random.Random(int(seed))
    for number in range(int(count)):
        packet = copy.deepcopy(lines[number % len(lines)])
        for _ in range(0 if number < len(lines) else r.choice([1, 1, 1, 2, 3])):
            change(packet, r)
        valid = validator.is_valid(packet)
        print("1" if valid else "0", json.dumps(packet, ensure_ascii=r.random() < 0.3, separators=r.choice([(",", ":"), (", ", ": ")])), sep="\t")


if __name__ == "__main__":
    main()
