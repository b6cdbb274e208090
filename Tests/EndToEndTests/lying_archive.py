"""An archive process that lies, on a Unix socket: lying_archive.py SOCKET LEDGER-ID MODE SEGMENTS

Whatever is asked for, it says that a store far away has it. MODE says what comes instead.
"""
import http.server
import json
import os
import re
import socketserver
import sys
import time

path, ledger, mode, folder = sys.argv[1:]


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, body = 200, b""
        if self.path == "/v1/archive":
            own = "00000000-0000-4000-8000-000000000000" if mode == "foreign" else ledger
            body = json.dumps({"ledger_id": own, "lag_seconds": 0, "stores": [{"name": "s3://far/away"}]}).encode()
        else:
            match = re.fullmatch(r"/v1/archive/segments/(\d+)\?store=0&from=(\d+)&bytes=(\d+)", self.path)
            first, start, count = (int(number) for number in match.groups())
            with open(f"{folder}/{first:020}.seg", "rb") as file:
                file.seek(start)
                body = file.read(count)
            if mode == "zeros":
                body = bytes(len(body))
            elif mode == "short":
                body = body[:-1]
            elif mode == "flipped":
                body = body[:50] + bytes([body[50] ^ 1]) + body[51:]
            elif mode == "long":
                body += b"x"
            elif mode == "empty":
                body = b""
            elif mode == "fails":
                status, body = 500, b"out of luck"
            elif mode == "silent":
                time.sleep(60)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if os.path.exists(path):
    os.remove(path)
server = Server(path, Answers)
print("listening", file=sys.stderr, flush=True)
server.serve_forever()
