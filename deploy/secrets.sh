#!/bin/sh
# Makes the secrets of compose.yaml, once: random passwords and the master key, in deploy/secrets (mode 0700). Keeps what is there.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
cd secrets

random() {
  od -An -N 32 -tx1 /dev/urandom | tr -d ' \n'
}

# The folder is closed to others; the files are not, because the containers read them as users of their own.
put() {
  [ -s "$1" ] || { cat >"$1.new" && chmod 0444 "$1.new" && mv "$1.new" "$1"; }
}

random | put postgres-password
random | put Swarm__MasterKey
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy allkeys-lru\n' "$(random)" | put redis.conf
printf 'Host=postgres;Username=swarm;Database=swarm;Password=%s;Maximum Pool Size=40' "$(cat postgres-password)" | put ConnectionStrings__swarm
printf 'redis:6379,password=%s' "$(sed -n 's/^requirepass //p' redis.conf)" | put ConnectionStrings__redis
echo "The secrets are in $(pwd). Keep a copy of Swarm__MasterKey where the backups are not."
