"""A store in memory with a weakness that the bucket's name says. Prints its port. Checks no signatures."""
import calendar
import email.utils
import http.server
import re
import sys
import time
import urllib.parse

OBJECTS, ASKED = {}, {}
HOUR = 3600


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body=b"", headers=(), cut=None):
        self.send_response_only(status)
        names = {name.lower() for name, _ in headers}
        if "date" not in names:
            self.send_header("date", email.utils.formatdate(usegmt=True))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def error(self, status, code, headers=()):
        self.reply(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode(), headers)

    def handle_any(self):
        address = urllib.parse.urlsplit(self.path)
        bucket, _, key = urllib.parse.unquote(address.path).lstrip("/").partition("/")
        query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = ASKED[bucket] = ASKED.get(bucket, 0) + 1
        if bucket == "busy" and asked <= 4:
            return self.error(503, "SlowDown")
        if bucket == "skewed":
            # Its clock is an hour ahead, and it wants that of others to agree.
            server = time.time() + HOUR
            match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", self.headers["x-amz-date"])
            client = calendar.timegm(tuple(int(part) for part in match.groups()))
            if abs(server - client) > 900:
                return self.error(403, "RequestTimeTooSkewed",
                                  [("date", email.utils.formatdate(server, usegmt=True))])
        if bucket == "elsewhere":
            return self.error(301, "PermanentRedirect", [("x-amz-bucket-region", "eu-north-1")])
        name = (bucket, key)
        if self.command == "DELETE":
            return self.error(403, "AccessDenied")
        if self.command == "PUT":
            if name in OBJECTS and self.headers.get("if-none-match") == "*" and bucket != "overwrites":
                return self.error(412, "PreconditionFailed")
            OBJECTS[name] = body
            return self.reply(200)
        if not key or "list-type" in query:
            found = sorted(k for b, k in OBJECTS if b == bucket and k.startswith(query.get("prefix", "")))
            if bucket == "stale":
                found = found[:-1]
            items = "".join(f"<Contents><Key>{k}</Key><Size>{len(OBJECTS[(bucket, k)])}</Size></Contents>" for k in found)
            return self.reply(200, f"<ListBucketResult>{items}</ListBucketResult>".encode())
        if name not in OBJECTS:
            return self.error(404, "NoSuchKey")
        data, status, headers = OBJECTS[name], 200, []
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range") or "")
        if match and bucket != "whole":
            first, last = int(match[1]), min(int(match[2]), len(data) - 1)
            headers = [("content-range", f"bytes {first}-{last}/{len(data)}")]
            data, status = data[first:last + 1], 206
        if bucket == "cut" and asked % 3 != 0:
            return self.reply(status, data, headers, cut=len(data) // 2)
        if bucket == "other":
            data = bytes(len(data))
        return self.reply(status, data, headers)

    do_GET = do_PUT = do_HEAD = do_DELETE = handle_any

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
print(server.server_port, file=sys.stderr, flush=True)
server.serve_forever()
