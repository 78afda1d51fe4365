#!/usr/bin/env python3
"""Recompute the SigV4 signatures of recorded requests with botocore, a signer that nobody here wrote.

  aws_sigv4_check.py SECRET < REQUESTS     one JSON object a line: method, target, headers

Needs: pip install botocore
"""
import hashlib
import json
import re
import sys
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                           r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


def check(method, target, headers, secret, body=""):
    h = {k.lower(): v for k, v in headers.items()}
    m = AUTHORIZATION.match(h.get("authorization", ""))
    if not m:
        return "no readable Authorization"
    key, date, region, service, names, signature = m.groups()
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    a = signer(Credentials(key, secret, h.get("x-amz-security-token")), service, region)
    signed = {n: h[n] for n in names.split(";") if n != "host"}
    req = AWSRequest(method=method, url="http://" + h["host"] + target, data=b"", headers=signed)
    req.context["timestamp"] = h["x-amz-date"]
    canon = a.headers_to_sign(req)
    for n in list(canon.keys()):
        if n.lower() not in names.split(";"):
            del canon[n]
    path = urlsplit(req.url).path
    path = path if service == "s3" else a._normalize_url_path(path)
    payload = h.get("x-amz-content-sha256") or hashlib.sha256(body.encode()).hexdigest()
    request = "\n".join([method, path, a.canonical_query_string(req), a.canonical_headers(canon) + "\n", names, payload])
    return "" if a.signature(a.string_to_sign(req, request), req) == signature else "another signature than botocore's"


def main():
    secret = sys.argv[1]
    bad = count = 0
    for line in sys.stdin:
        r = json.loads(line)
        if "CREDENTIAL=AKIDASSUMED/" in r["headers"].get("authorization", "").upper():
            continue  # signed with the role's secret, which the double invented
        out = check(r["method"], r["target"], r["headers"], secret, r.get("body", ""))
        count += 1
        bad += bool(out)
        print(("FAIL " if out else "ok   ") + r["method"] + " " + r["target"] + (": " + out if out else ""))
    if count == 0:
        print("FAIL no request was recorded")
        bad += 1
    # A check that cannot fail is none: the last request must not pass with another secret.
    elif check(r["method"], r["target"], r["headers"], secret + "x", r.get("body", "")) == "":
        print("FAIL any secret passes")
        bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
