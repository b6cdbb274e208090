#!/usr/bin/env python3
"""Compares a read model, row by row and view by view, with what PostgreSQL answers.

    compare_model.py MODEL.sqlite SOCKET-FOLDER DATABASE

Refreshes the materialised views of the database first. Prints a JSON object: `rows` and `views` count
what was compared, `differences` lists up to twenty of what differs. What a value of PostgreSQL must be
in the read model is written here a second time, from the page that promises it.
"""
import json
import os
import re
import sqlite3
import subprocess
import sys

TABLES = ["creators", "posts", "videos", "analysis", "clips", "edit_jobs", "upload_jobs", "schedules", "logs"]
# How each view is ordered, beyond what ties may do.
VIEWS = {"latest_analysis_per_video": ["video_id"], "best_clip_per_video": ["video_id"],
         "active_analysis_per_video": ["video_id"], "pending_edit_jobs": ["created_at"],
         "upcoming_upload_schedule": ["final_scheduled_time", "scheduled_time"]}
# Rows of these come in an order of their own.
ORDERED = {"pending_edit_jobs", "upcoming_upload_schedule"}
FIELD, NULL = "\x1f", "\x02null"
FORMATS = "-c timezone=UTC -c datestyle=ISO -c extra_float_digits=3 -c bytea_output=hex"


def psql(folder, database, script):
    process = subprocess.run(
        ["psql", "-h", folder, "-U", "postgres", "-d", database, "-XqAt0", "-F", FIELD, "-v", "ON_ERROR_STOP=1",
         "-P", "null=" + NULL], input=script.encode(), capture_output=True, check=False,
        env={**os.environ, "PGOPTIONS": FORMATS, "PGCLIENTENCODING": "UTF8"})
    if process.returncode:
        sys.exit(process.stderr.decode())
    return [row.split(FIELD) for row in process.stdout.decode().split("\0")[:-1]]


def time(text):
    if text.endswith("infinity"):
        return text
    year, rest, clock, fraction, era = re.fullmatch(
        r"(\d{4,})(-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00( BC)?", text).groups()
    number = 1 - int(year) if era else int(year)
    sign = "-" if number < 0 else "+" if number > 9999 else ""
    return f"{sign}{abs(number):04}{rest}T{clock}.{(fraction or '').ljust(6, '0')}Z"


def value(text, kind):
    if text == NULL:
        return None
    if kind == "timestamp with time zone":
        return time(text)
    if kind in ("double precision", "real"):
        return "NaN" if text == "NaN" else float(text) + 0.0
    if kind in ("integer", "bigint", "smallint"):
        return int(text)
    if kind == "boolean":
        return int(text == "t")
    return text


def main(path, folder, database):
    psql(folder, database, "REFRESH MATERIALIZED VIEW latest_analysis_per_video; REFRESH MATERIALIZED VIEW best_clip_per_video;")
    types = {}
    for relation, name, kind in psql(folder, database, """
            SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
            JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm')
            ORDER BY a.attnum"""):
        types.setdefault(relation, []).append((name, kind))
    model = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    model.execute("BEGIN")
    report = {"rows": {}, "views": {}, "differences": []}
    for relation in TABLES + list(VIEWS):
        columns = types[relation]
        quoted = [('"' + name.replace('"', '""') + '"', kind) for name, kind in columns]
        shown = ", ".join(f"to_json({name})" if kind == "text[]" else name for name, kind in quoted)
        there = [tuple(value(text, kind) for text, (_, kind) in zip(row, columns))
                 for row in psql(folder, database, f"SELECT {shown} FROM {relation}")]
        here = list(model.execute(f"SELECT {', '.join(name for name, _ in quoted)} FROM {relation}"))
        report["views" if relation in VIEWS else "rows"][relation] = len(there)
        if relation in ORDERED:
            places = [[name for name, _ in columns].index(name) for name in VIEWS[relation]]
            key = lambda row: next((row[place] for place in places if row[place] is not None), None)
            if [key(row) for row in here] != [key(row) for row in there]:
                report["differences"].append(f"{relation}: in another order")
        for label, odd in (("only here", set(here) - set(there)), ("only there", set(there) - set(here))):
            for row in list(odd)[:20 - len(report["differences"])]:
                report["differences"].append(f"{relation}: {label}: {row!r}"[:1000])
        if len(here) != len(there):
            report["differences"].append(f"{relation}: {len(here)} rows here, {len(there)} there")
    print(json.dumps(report))


main(*sys.argv[1:])
