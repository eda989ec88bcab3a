# shellcheck shell=bash
# The images of the profile `scale` where no registry can be reached; source it.
# A stand-in holds no program: it is a few links, and this machine's /usr is mounted into it, with the PostgreSQL, Redis
# or Valkey, and HAProxy that are installed here.

STANDIN=anyrouter-standin:local

# scale_images: pulls the images that are missing; where that fails, makes the stand-in, and has Compose take it.
scale_images() {
  local image
  for image in postgres:17 valkey/valkey:8 haproxy:3.2; do
    docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" && continue
    stand_in || return
    export POSTGRES_IMAGE=$STANDIN VALKEY_IMAGE=$STANDIN HAPROXY_IMAGE=$STANDIN
    # shellcheck disable=SC2034 # it is scale.sh's
    SCALE_FILES=(-f docker-compose.yml -f tests/stack/standins.yml)
    echo "stand-ins are used: this machine's own PostgreSQL, Redis and HAProxy"
    return
  done
}

stand_in() {
  local root postgres server
  postgres=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1) || { echo "no PostgreSQL is installed"; return 1; }
  server=$(command -v valkey-server || command -v redis-server) || { echo "neither Valkey nor Redis is installed"; return 1; }
  [ -x /usr/sbin/haproxy ] || { echo "no HAProxy is installed"; return 1; }
  root=$(mktemp -d) || return
  mkdir -p "$root"/{etc,usr,tmp,run/postgresql,config,sbin,var/lib/postgresql/data,standin} || return
  ln -s usr/bin usr/lib usr/lib64 "$root"
  ln -s "$server" "$root/standin/valkey-server"
  ln -s "$(dirname "$postgres")"/{postgres,initdb} "$root/standin"
  printf '%s:x:999:999::/:/bin/sh\n' postgres valkey haproxy >"$root/etc/passwd"
  printf '%s:x:999:\n' postgres valkey haproxy >"$root/etc/group"
  cp tests/stack/standin-postgres.sh "$root/standin/run-postgres"
  chmod -R a+rX "$root"
  chmod 1777 "$root"/{tmp,run/postgresql}
  tar -C "$root" --owner=999 --group=999 -c . |
    docker import --change 'ENV PATH=/standin:/usr/sbin:/usr/bin' - "$STANDIN" >/dev/null
  rm -rf "$root"
}
