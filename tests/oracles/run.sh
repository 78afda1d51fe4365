#!/bin/sh
# Lets AWS's own Python client judge the tests' double of AWS, and AWS's own signer judge our requests.
# With the word "tools" it only fetches them. Ends by itself; everything but `pip install` stays on loopback.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/oracles
work=$(mktemp -d)
fake=
finish() {
    [ -z "$fake" ] || kill "$fake" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check boto3 botocore 'moto[s3,sts,server]'
[ "${1:-}" != tools ] || exit 0
"$venv/bin/python" -c 'import boto3, botocore; print("boto3", boto3.__version__, "botocore", botocore.__version__)'
cargo build --quiet --manifest-path "$root/Cargo.toml" --example fake_aws --example aws_client

# Starts the double; `exec 3>&-` ends it, and it prints what it was asked.
start() {
    mkfifo "$work/$1.in"
    timeout 300 "$target/debug/examples/fake_aws" <"$work/$1.in" >"$work/$1.out" &
    fake=$!
    exec 3>"$work/$1.in"
    tries=0
    until url=$(head -n 1 "$work/$1.out") && [ -n "$url" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "the double does not start"; exit 1; }
        sleep 0.1
    done
}

stop() {
    exec 3>&-
    wait "$fake"
    fake=
}

echo "== boto3 and its model judge the double"
start wire
"$venv/bin/python" "$here/aws_wire_check.py" "$url" --fuota task-1 --group group-1 --eui 0016c001f1500812 \
    --ota update-1 --stream stream-1 --job AFR_OTA-update-1 --signing-job 0a1b2c3d-0000-4000-8000-000000000001 \
    --bucket fw-bucket --key 'a b/app+1.bin'
stop

secret='wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
echo "== our client, with credentials and endpoints from the environment"
start sign
role=arn:aws:iam::123456789012:role/fuota-read
# Our client, at the double, with these words.
ours() {
    env -u AWS_PROFILE -u AWS_ENDPOINT_URL \
        AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY="$secret" AWS_SESSION_TOKEN='tok/en+==' \
        AWS_ENDPOINT_URL_IOT_WIRELESS="$url" AWS_ENDPOINT_URL_IOT="$url" AWS_ENDPOINT_URL_SIGNER="$url" \
        AWS_ENDPOINT_URL_STS="${elsewhere:-$url}" AWS_ENDPOINT_URL_S3="${elsewhere:-$url}" \
        "$target/debug/examples/aws_client" "$@"
}
ours eu-west-1 task task-1 group-1 0016c001f1500812
ours eu-west-1 task task-1 group-1 0016c001f1500812 "$role"
ours eu-west-1 update update-1
stop
echo "== botocore judges its signatures"
tail -n +2 "$work/sign.out" | "$venv/bin/python" "$here/aws_sigv4_check.py" "$secret"

echo "== moto is S3 and STS to our client"
mkfifo "$work/moto.in"
timeout 300 "$venv/bin/python" "$here/moto_s3_sts.py" fw-bucket 'a b/app+1.bin' "$work/keys" <"$work/moto.in" >"$work/moto.out" 2>"$work/moto.err" &
moto=$!
exec 4>"$work/moto.in"
tries=0
until elsewhere=$(head -n 1 "$work/moto.out") && [ -n "$elsewhere" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { cat "$work/moto.err"; exit 1; }
    sleep 0.1
done
start beside
ours eu-west-1 task task-1 group-1 0016c001f1500812 "$role" | tee "$work/moto.said"
echo "== objects under 40 difficult keys"
cut -d ' ' -f 2- "$work/keys" | ours eu-west-1 objects >"$work/keys.came"
cmp "$work/keys" "$work/keys.came" || { diff "$work/keys" "$work/keys.came"; echo "FAIL another object came"; exit 1; }
wc -l <"$work/keys.came"
elsewhere=
stop
exec 4>&-
wait "$moto"
tail -n +2 "$work/moto.out"
grep -q "$(sed -n 's/^sha256 //p' "$work/moto.out")" "$work/moto.said" || { echo "FAIL another image came"; exit 1; }
grep -q "^assumed $role" "$work/moto.out" || { echo "FAIL the role was not assumed"; exit 1; }
echo "all good"
