"""Which assets may go, found by looking at everything again for each: naive_cleanup.py MODEL PACKETS RAW DERIVED

MODEL is the read model, PACKETS a file of the packets, RAW and DERIVED are folders of assets. Prints finding and
path of each, in order.
"""
import json
import os
import re
import sqlite3
import sys
import time
import urllib.parse

model, packets, raw, derived = sys.argv[1:]
rows = sqlite3.connect(f"file:{model}?mode=ro", uri=True)
texts = [line.replace("\\/", "/") for line in open(packets) if '"cleanup.' not in line and '"x_assets"' not in line]
DAY = 86400


def loose(text):
    return urllib.parse.unquote(urllib.parse.unquote(text.lower()))


def path_of(text):
    return loose(text).removeprefix("file://").removeprefix("localhost")


def promoted(condition, value):
    unused = "('FAILED', 'CANCELLED', 'CANCELED', 'REJECTED')"
    ended = "('FAILED', 'CANCELLED', 'CANCELED', 'REJECTED', 'DONE', 'COMPLETED', 'SUCCEEDED')"
    return any(rows.execute(
        f"SELECT 1 FROM clips c JOIN {table} j USING (clip_id) WHERE {condition} "
        f"AND upper(trim(j.status)) NOT IN {ends}", (value,)).fetchone()
        for table, ends in (("upload_jobs", unused), ("schedules", unused), ("edit_jobs", ended)))


BORDER = re.escape(""" '()[],;:=&?#@/"`<>|{}\\""") + r"\x00-\x1f"


def named(name, text):
    """The file's name with its folder's, as a name of their own."""
    wanted = "/".join(name.rsplit("/", 2)[1:])
    return re.search(rf"(?:^|[{BORDER}]){re.escape(wanted)}(?=$|[{BORDER}.!])", text) is not None


def everywhere(own):
    """Every text of every row, without the very names that the class has in its own column."""
    tables = [name for (name,) in rows.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        if table.startswith(("model_", "sqlite_", "latest_", "best_")):
            continue
        cursor = rows.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        for row in cursor:
            if table == "logs" and row[names.index("source")] == "stardust-cleanup":
                continue
            for name, value in zip(names, row):
                if not isinstance(value, str) or f"{table}.{name}" == own == "videos.file_path":
                    continue
                if f"{table}.{name}" == own:
                    value = json.dumps({k: v for k, v in json.loads(value).items() if k != "file"})
                yield table, loose(value.replace("\\/", "/"))


def judged(folder, kind, own, days):
    said = list(everywhere(own))
    for base, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(base, file)
            age = (time.time() - os.stat(path).st_mtime) / DAY
            name = loose(path)
            if kind == "raw":
                owners = [(v, t) for v, t, f in rows.execute("SELECT video_id, created_at, file_path FROM videos")
                          if path_of(f) == name]
                isPromoted = any(promoted("c.video_id = ?", v) for v, _ in owners)
            else:
                owners = [(c, None) for c, m in rows.execute("SELECT clip_id, metadata FROM clips")
                          if m and path_of(json.loads(m).get("file") or "") == name]
                isPromoted = any(promoted("c.clip_id = ?", c) for c, _ in owners)
            others = [table for table, text in said if named(name, text)]
            if not owners:
                if not others and not any(named(name, loose(text)) for text in texts) and age > 7:
                    yield "orphan", path
                continue
            made = [time.mktime(time.strptime(t[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone for _, t in owners if t]
            age = min([age] + [(time.time() - max(made)) / DAY] if made else [age])
            if age > days and not isPromoted and not [t for t in others if t != "logs"]:
                yield f"{kind}_expired", path


found = [*judged(raw, "raw", "videos.file_path", 90), *judged(derived, "derived", "clips.metadata", 365)]
print(*(f"{finding} {path}" for finding, path in sorted(found)), sep="\n")
