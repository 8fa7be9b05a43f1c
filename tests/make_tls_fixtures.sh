#!/bin/sh
# Certificates for tests of servers that are not to be trusted, and one that is: `sh tests/make_tls_fixtures.sh` writes tests/fixtures/tls anew.
# The keys are of no use but for these; all but `expired` and `early` hold for a hundred years.
set -eu
cd "$(dirname "$0")/fixtures/tls"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1.key" 2>/dev/null; }
key ca
key server

cat >"$work/ca.conf" <<END
[ca]
database = $work/index.txt
serial = $work/serial
new_certs_dir = $work
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
END
: >"$work/index.txt"
echo 01 >"$work/serial"

# NAME KEY EXTENSIONS FROM TO SIGNER...: a certificate, signed by the CA or by itself.
signed() {
    name=$1 key=$2 from=$4 to=$5
    openssl req -new -key "$work/$key.key" -subj "/CN=$name" -out "$work/$name.csr"
    printf "$3" >"$work/$name.ext"
    shift 5
    openssl ca -batch -notext -name ca -config "$work/ca.conf" -extfile "$work/$name.ext" -startdate "$from" -enddate "$to" \
        -in "$work/$name.csr" -out "$work/$name.pem" -keyfile "$work/ca.key" "$@" 2>"$work/log" || cat "$work/log"
    openssl x509 -in "$work/$name.pem" -outform DER -out "$name.der"
}
of_server() {
    signed "$1" server "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=$2\n" "$3" "$4" -cert "$work/ca.pem"
}
signed ca ca "basicConstraints=critical,CA:TRUE\n" 20240101000000Z 21240101000000Z -selfsign
of_server server IP:127.0.0.1,DNS:localhost 20240101000000Z 21240101000000Z
of_server other DNS:elsewhere.example 20240101000000Z 21240101000000Z
of_server expired IP:127.0.0.1,DNS:localhost 20010101000000Z 20020101000000Z
of_server early IP:127.0.0.1,DNS:localhost 21230101000000Z 21240101000000Z
openssl pkcs8 -topk8 -nocrypt -in "$work/server.key" -outform DER -out server.key.der
chmod 644 server.key.der
