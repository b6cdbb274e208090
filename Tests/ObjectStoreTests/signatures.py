"""Signs requests with botocore: one JSON object a line in, one signature a line out.

Of Google's dialect botocore knows nothing: there the same signer runs under its names.
"""
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Google(botocore.auth.S3SigV4Auth):
    """Google Cloud Storage's V4 signatures: AWS's with other names."""

    def payload(self, request):
        return request.headers["x-goog-content-sha256"]

    def credential_scope(self, request):
        return super().credential_scope(request).replace("aws4_request", "goog4_request")

    def string_to_sign(self, request, canonical_request):
        return super().string_to_sign(request, canonical_request).replace(
            "AWS4-HMAC-SHA256", "GOOG4-HMAC-SHA256", 1)

    def signature(self, string_to_sign, request):
        key = self._sign(("GOOG4" + self.credentials.secret_key).encode(), request.context["timestamp"][:8])
        for part in (self._region_name, self._service_name, "goog4_request"):
            key = self._sign(key, part)
        return self._sign(key, string_to_sign, hex=True)


def signature(case):
    request = AWSRequest(case["method"], case["url"], headers=dict(case["headers"]))
    request.context["timestamp"] = case["time"]
    request.context["payload_signing_enabled"] = True
    is_google = case["dialect"] == "google"
    kind, service = (Google, "storage") if is_google else (botocore.auth.S3SigV4Auth, "s3")
    signer = kind(Credentials(case["key"], case["secret"]), service, case["region"])
    # The headers that a signature adds come from the one that is judged: this signs what was sent.
    canonical = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, canonical), request)


for line in sys.stdin:
    print(signature(json.loads(line)))
