#!/usr/bin/env python3
"""Check the double of AWS against the real boto3 client AND against the botocore service model.

  python3 aws_wire_check.py http://127.0.0.1:PORT --fuota ID --group ID --bucket B --key K

boto3 alone proves that the paths, the JSON member names and the error mapping are right, but its parser accepts
ISO or epoch for any timestamp, unknown enum values, and drops unknown members silently. So the raw body is also
walked with the model's output shape: type, enum, min/max/pattern, timestamp wire format, unknown members.
Loopback only. Needs: pip install boto3
"""
import argparse
import base64
import json
import re
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def walk(shape, v, path, out):
    t = shape.type_name
    md = shape.metadata
    if v is None:
        return
    if t == "structure":
        if not isinstance(v, dict):
            return out.append(f"{path}: object expected, got {type(v).__name__}")
        names = {(m.serialization.get("name") or n): m for n, m in shape.members.items()}
        for k in v:
            if k not in names:
                out.append(f"{path}.{k}: not a member of {shape.name}")
        for n, m in names.items():
            if n in v:
                walk(m, v[n], f"{path}.{n}", out)
    elif t == "list":
        if not isinstance(v, list):
            return out.append(f"{path}: array expected")
        if not (md.get("min", 0) <= len(v) <= md.get("max", 1 << 31)):
            out.append(f"{path}: {len(v)} items, model says {md}")
        for i, x in enumerate(v):
            walk(shape.member, x, f"{path}[{i}]", out)
    elif t == "map":
        for k, x in v.items():
            walk(shape.value, x, f"{path}[{k!r}]", out)
    elif t == "timestamp":
        fmt = shape.serialization.get("timestampFormat", "unixTimestamp")
        if fmt == "unixTimestamp":
            if isinstance(v, bool) or not isinstance(v, (int, float)):
                out.append(f"{path}: epoch seconds (JSON number) expected, got {v!r}")
        elif fmt == "iso8601" and not (isinstance(v, str) and ISO.match(v)):
            out.append(f"{path}: {fmt} string expected, got {v!r}")
    elif t in ("integer", "long"):
        if isinstance(v, bool) or not isinstance(v, int):
            return out.append(f"{path}: integer expected, got {v!r}")
        if not (md.get("min", v) <= v <= md.get("max", v)):
            out.append(f"{path}: {v} outside {dict(md)}")
    elif t in ("float", "double"):
        if isinstance(v, bool) or not isinstance(v, (int, float)):
            out.append(f"{path}: number expected")
    elif t == "boolean":
        if not isinstance(v, bool):
            out.append(f"{path}: boolean expected")
    elif t == "blob":
        try:
            base64.b64decode(v, validate=True)
        except Exception as e:
            out.append(f"{path}: not standard base64 ({e})")
    elif t == "string":
        if not isinstance(v, str):
            return out.append(f"{path}: string expected")
        if not (md.get("min", 0) <= len(v) <= md.get("max", 1 << 31)):
            out.append(f"{path}: length {len(v)} outside {md.get('min', 0)}..{md.get('max')}")
        if getattr(shape, "enum", None) and v not in shape.enum:
            out.append(f"{path}: {v!r} not in {shape.enum}")
        p = md.get("pattern")
        if p and "\\p{" not in p and not re.fullmatch(p, v):
            out.append(f"{path}: {v!r} does not match {p}")


def client(service, options):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10,
                    s3={"addressing_style": "path"})
    return boto3.client(service, region_name=options.region, endpoint_url=options.url, config=config,
                        aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret",
                        aws_session_token="tok/en+==")


def answer_fits_the_model(options, operation, arguments, service="iotwireless"):
    c = client(service, options)
    raw = {}
    c.meta.events.register("before-parse.*.*", lambda response_dict, **k: raw.update(b=response_dict["body"]))
    getattr(c, operation)(**arguments)
    shape = c.meta.service_model.operation_model(c.meta.method_to_api_mapping[operation]).output_shape
    out = []
    walk(shape, json.loads(raw["b"]), "$", out)
    return out


def error_is(call, code, status):
    try:
        call()
    except ClientError as e:
        got = (e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
        return [] if got == (code, status) else [f"{got} instead of {(code, status)}"]
    return [f"no error instead of {code}"]


# What the two API pages list, in the HTTP form that the services' models and guides give them.
EXCEPTIONS = {
    ("iotwireless", "get_fuota_task", "Id"): [
        ("ValidationException", 400), ("AccessDeniedException", 403), ("ResourceNotFoundException", 404),
        ("ThrottlingException", 429), ("InternalServerException", 500)],
    ("iot", "get_ota_update", "otaUpdateId"): [
        ("InvalidRequestException", 400), ("ThrottlingException", 400), ("UnauthorizedException", 401),
        ("ResourceNotFoundException", 404), ("InternalFailureException", 500),
        ("ServiceUnavailableException", 503)],
}


def exception_is_modelled(options, service, operation, name, code, status):
    """The double's error is, to boto3, the very class that the API page lists."""
    c = client(service, options)
    try:
        getattr(c, operation)(**{name: f"error-{status}-{code}"})
    except getattr(c.exceptions, code) as e:
        got = e.response["ResponseMetadata"]["HTTPStatusCode"]
        return [] if got == status else [f"HTTP {got}"]
    return ["no error"]


def object_comes_whole(options):
    s3 = client("s3", options)
    where = {"Bucket": options.bucket, "Key": options.key}
    head = s3.head_object(**where)
    size, etag, version = head["ContentLength"], head["ETag"], head["VersionId"]
    whole = s3.get_object(**where)["Body"].read()
    pieces = b""
    while len(pieces) < size:
        part = s3.get_object(**where, VersionId=version, IfMatch=etag, Range=f"bytes={len(pieces)}-{len(pieces) + 999}")
        if not part["ContentRange"].endswith(f"/{size}"):
            return [f"Content-Range is {part['ContentRange']}"]
        pieces += part["Body"].read()
    return [] if whole == pieces and len(whole) == size else ["the ranges are not the object"]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("url")
    for a in ("fuota", "group", "eui", "ota", "stream", "job", "signing-job", "bucket", "key"):
        ap.add_argument("--" + a, required=True)
    ap.add_argument("--region", default="eu-west-1")
    o = ap.parse_args()
    if not re.match(r"https?://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$", o.url):
        sys.exit("loopback only")
    iot, s3 = client("iotwireless", o), client("s3", o)
    missing = {"Bucket": o.bucket, "Key": "no/such"}
    present = {"Bucket": o.bucket, "Key": o.key}
    checks = [
        ("iotwireless.get_fuota_task", lambda: answer_fits_the_model(o, "get_fuota_task", {"Id": o.fuota})),
        ("iotwireless.list_fuota_tasks", lambda: answer_fits_the_model(o, "list_fuota_tasks", {"MaxResults": 10})),
        ("iotwireless.list_multicast_groups_by_fuota_task",
         lambda: answer_fits_the_model(o, "list_multicast_groups_by_fuota_task", {"Id": o.fuota})),
        ("iotwireless.get_multicast_group", lambda: answer_fits_the_model(o, "get_multicast_group", {"Id": o.group})),
        ("iotwireless.get_multicast_group_session",
         lambda: answer_fits_the_model(o, "get_multicast_group_session", {"Id": o.group})),
        ("iotwireless.get_fuota_task of none",
         lambda: error_is(lambda: iot.get_fuota_task(Id="a b/c+d"), "ResourceNotFoundException", 404)),
        ("iotwireless.get_wireless_gateway",
         lambda: answer_fits_the_model(o, "get_wireless_gateway",
                                       {"Identifier": o.eui, "IdentifierType": "GatewayEui"})),
        ("iot.get_ota_update", lambda: answer_fits_the_model(o, "get_ota_update", {"otaUpdateId": o.ota}, "iot")),
        ("iot.describe_stream", lambda: answer_fits_the_model(o, "describe_stream", {"streamId": o.stream}, "iot")),
        ("iot.get_job_document", lambda: answer_fits_the_model(o, "get_job_document", {"jobId": o.job}, "iot")),
        ("signer.describe_signing_job",
         lambda: answer_fits_the_model(o, "describe_signing_job", {"jobId": o.signing_job}, "signer")),
        ("sts.assume_role",
         lambda: [] if client("sts", o).assume_role(
             RoleArn="arn:aws:iam::123456789012:role/fuota-read", RoleSessionName="gw1")["Credentials"]["AccessKeyId"]
         == "AKIDASSUMED" else ["another key"]),
        ("sts.assume_role of another",
         lambda: error_is(lambda: client("sts", o).assume_role(
             RoleArn="arn:aws:iam::123456789012:role/other", RoleSessionName="gw1"), "AccessDenied", 403)),
        ("s3 head, whole, ranges", lambda: object_comes_whole(o)),
        ("s3 head of none", lambda: error_is(lambda: s3.head_object(**missing), "404", 404)),
        ("s3 get of none", lambda: error_is(lambda: s3.get_object(**missing), "NoSuchKey", 404)),
        ("s3 if-match of another",
         lambda: error_is(lambda: s3.get_object(**present, IfMatch='"other"'), "PreconditionFailed", 412)),
        ("s3 range beyond the end",
         lambda: error_is(lambda: s3.get_object(**present, Range="bytes=99999999-"), "InvalidRange", 416)),
    ]
    for (service, operation, argument), exceptions in EXCEPTIONS.items():
        for code, status in exceptions:
            checks.append((f"{service}.{operation} raises {code} ({status})",
                           lambda s=service, p=operation, a=argument, c=code, h=status:
                           exception_is_modelled(o, s, p, a, c, h)))
    bad = 0
    for name, check in checks:
        try:
            out = check()
        except Exception as e:
            out = [f"{type(e).__name__}: {e}"]
        bad += bool(out)
        print(("FAIL " if out else "ok   ") + name)
        for x in out:
            print("     " + x)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
