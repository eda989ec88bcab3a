#!/bin/sh
# What the image of PostgreSQL does at its start, as far as the profile `scale` needs it.
set -eu
data=/var/lib/postgresql/data
if [ ! -f $data/PG_VERSION ]; then
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --no-sync -D $data -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 -E UTF8 --locale=C.UTF-8 >/dev/null
  echo "host all all all scram-sha-256" >>$data/pg_hba.conf
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D $data postgres >/dev/null
fi
exec postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp
