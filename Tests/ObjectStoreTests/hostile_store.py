"""A store that answers what no store should: the bucket's name says what. Prints its port.

    hostile_store.py [CERTIFICATE KEY]     with both, it speaks TLS
"""
import http.server
import ssl
import sys

HEAD = b'<?xml version="1.0"?><ListBucketResult>'


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        bucket = self.path.split("?")[0].strip("/").split("/")[0]
        status, body = 200, b""
        if bucket == "nested":
            body = b"<a>" * 600_000 + b"</a>" * 600_000
        elif bucket == "long-text":
            body = HEAD + b"<Key>" + b"\n" * 3_000_000 + b"</Key></ListBucketResult>"
        elif bucket == "endless":
            body = HEAD + (b"<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
                           b"<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>")
        elif bucket == "no-progress":
            body = HEAD + (b"<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
                           b"</ListBucketResult>")
        elif bucket == "page":
            body = b"<html><body>Please sign in</body></html>"
        elif bucket == "none":
            body = HEAD + b"</ListBucketResult>"
        elif bucket == "cut":
            body = HEAD
        elif bucket == "large":
            body = HEAD + b" " * (9 << 20)
        elif bucket == "entities":
            body = (b'<!DOCTYPE x [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000
                    + b'"><!ENTITY c "' + b"&b;" * 1000 + b'">]><ListBucketResult><Key>&c;</Key></ListBucketResult>')
        else:
            status = 501
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, file=sys.stderr, flush=True)
server.serve_forever()
