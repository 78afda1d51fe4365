#!/usr/bin/env python3
"""moto as S3 and STS for a client that was written elsewhere.

  moto_s3_sts.py BUCKET KEY TABLE

Writes a table of objects under difficult keys: SHA-256 and address, a line each. Prints its address, serves them and a
versioned object of several versions until its input ends, then prints the SHA-256 of the newest version and the roles
that were assumed. Loopback only. Needs: pip install 'moto[s3,sts,server]' boto3
"""
import hashlib
import os
import sys

import boto3
from moto.server import ThreadedMotoServer


# Keys that a signer, an encoder of addresses or a normaliser of paths gets wrong.
KEYS = [
    "a", "a/b", "a//b", "//a", "/a", "a/", "a//", "a/./b", "a/../b", "../a", "./a", ".", "..", "...", "a b", " a", "a ",
    "a+b", "a%2Bb", "a%20b", "a%b", "%", "a?b", "a#b", "a&b=c", "a=b;c", "a:b@c", "a,b", "a'b\"c", "a(b)c*d!e~f", "a$b",
    "a|b\\c", "a<b>c", "a{b}[c]", "a^b`c", "\u00e9", "e\u0301", "\u65e5\u672c/\u8a9e", "\U0001f4e1.bin",
    "fw/1.2.3+build.5/app v1 (final).bin",
]


def main():
    bucket, key, table = sys.argv[1:]
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "secret")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client("s3", region_name="eu-west-1", endpoint_url=url)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    image = bytes((n * 2654435761 >> 24) & 0xFF for n in range(400_000))
    for body in (b"an older one", image):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert len(set(KEYS)) == 40
    with open(table, "w", encoding="utf-8") as lines:
        for number, name in enumerate(KEYS):
            body = f"object {number}".encode()
            s3.put_object(Bucket=bucket, Key=name, Body=body)
            lines.write(f"{hashlib.sha256(body).hexdigest()} s3://{bucket}/{name}\n")
    print(url, flush=True)
    sys.stdin.read()
    print("sha256", hashlib.sha256(image).hexdigest())
    from moto.sts.models import sts_backends
    for account in sts_backends.values():
        for backend in account.values():
            for role in backend.assumed_roles:
                print("assumed", role.role_arn)
    sys.stdout.flush()
    server.stop()


if __name__ == "__main__":
    main()
