#!/bin/sh
# Make the certificates again: `sh make.sh` in this folder. The keys guard nothing: they are for tests on loopback.
set -eu
new() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

new ca
openssl req -x509 -new -key ca.key -subj "/CN=AnyRouter test CA" -days 36500 -out ca.pem \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign

# name, subject's name, start, end
leaf() {
  new "$1"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n' "$3" > "$1.ext"
  : > index.txt; echo 01 > serial
  openssl ca -batch -notext -keyfile ca.key -cert ca.pem -in "$1.csr" -out "$1.crt" -extfile "$1.ext" \
    -startdate "$4" -enddate "$5" -md sha256 -config ca.cnf
  cat "$1.crt" "$1.key" > "$1.pem"
  rm "$1.csr" "$1.ext" "$1.crt" "$1.key"
}
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\npolicy=p\n[p]\ncommonName=supplied\n' > ca.cnf
HERE=DNS:upstream.test,DNS:localhost,IP:127.0.0.1
leaf good upstream.test "$HERE" 20200101000000Z 21200101000000Z
leaf expired upstream.test "$HERE" 20200101000000Z 20200201000000Z
leaf early upstream.test "$HERE" 21190101000000Z 21200101000000Z
leaf other other.test DNS:other.test 20200101000000Z 21200101000000Z
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout stranger.key -out stranger.crt -days 36500 \
  -subj /CN=upstream.test -addext "subjectAltName=$HERE"
cat stranger.crt stranger.key > stranger.pem
rm -f ca.cnf ca.key stranger.crt stranger.key index.txt* serial* ./[0-9A-F]*.pem
