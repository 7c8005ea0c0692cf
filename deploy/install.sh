#!/bin/bash
# Installs or updates a Swarm node on Debian or Ubuntu, from this repository: packages, user, database, secrets, release, services, proxy. It may be
# run again at any time: what is there is kept, what differs is replaced, with the old file beside it, and secrets are never made anew.
#
#   sudo deploy/install.sh --domain swarm.example.com [--proxy caddy|nginx|angie|none] [--dry-run]
#
# --dry-run says what would be done and changes nothing. --root DIR writes the files below DIR and does nothing else (no packages, database
# or services): for images and tests. Exit codes: 0 done, 1 failed, 2 bad arguments.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_folder=$(dirname "$here")
domain="" proxy=caddy root="" dry=0 publish=1

usage() { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
fail() { echo "Error: $*" >&2; exit 1; }
wrong() { echo "Error: $*" >&2; usage >&2; exit 2; }
say() { printf '%s\n' "$*"; }

while [ $# -gt 0 ]; do
  case $1 in
    --domain | --proxy | --root)
      [ $# -ge 2 ] || wrong "$1 needs a value."
      case $1 in --domain) domain=$2 ;; --proxy) proxy=$2 ;; --root) root=$2 ;; esac
      shift 2 ;;
    --dry-run) dry=1; shift ;;
    --no-publish) publish=0; shift ;;
    -h | --help) usage; exit 0 ;;
    *) wrong "unknown argument: $1" ;;
  esac
done

[[ $domain =~ ^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$ && ${#domain} -le 253 ]] || wrong "--domain is a host name such as swarm.example.com."
case $proxy in caddy | nginx | angie | none) ;; *) wrong "--proxy is caddy, nginx, angie or none." ;; esac
if [ -n "$root" ]; then
  [[ $root == /* && -d $root ]] || wrong "--root is a folder that exists, from / on."
  root=${root%/} publish=0
elif [ $dry = 0 ] && [ "$(id -u)" != 0 ]; then
  fail "run it as root, or with --dry-run."
fi

# Does something, or says that it would.
act() {
  if [ $dry = 1 ]; then say "would run: $*"; else "$@"; fi
}

# As act, for what is done on a whole machine only.
machine() {
  if [ -z "$root" ]; then act "$@"; fi
}

changed=""

# put MODE PATH: writes standard input there, if it differs; what was there is kept beside it.
put() {
  local mode=$1 path=$root$2 new
  new=$(mktemp)
  cat >"$new"
  if [ -f "$path" ] && cmp -s "$new" "$path"; then
    say "unchanged: $path"
  elif [ $dry = 1 ]; then
    say "would write: $path (mode $mode)"
    changed="$changed $2"
  else
    mkdir -p "$(dirname "$path")"
    if [ -f "$path" ]; then
      cp -p "$path" "$path.before"
    fi
    install -m "$mode" "$new" "$path.new"
    mv "$path.new" "$path"
    say "written: $path"
    changed="$changed $2"
  fi
  rm -f "$new"
}

# keep MODE PATH COMMAND…: writes what the command prints, unless the file is there: secrets and settings are made once.
keep() {
  local mode=$1 path=$2
  shift 2
  if [ -s "$root$path" ]; then
    say "kept: $root$path"
  elif [ $dry = 1 ]; then
    say "would make: $root$path (mode $mode)"
  else
    mkdir -p "$(dirname "$root$path")"
    (umask 077; "$@" >"$root$path.new")
    chmod "$mode" "$root$path.new"
    mv "$root$path.new" "$root$path"
    say "made: $root$path"
  fi
}

random() { od -An -N 32 -tx1 /dev/urandom | tr -d ' \n'; }

step() { say; say "== $*"; }

step "This machine"
if [ -z "$root" ]; then
  . /etc/os-release
  case " ${ID:-} ${ID_LIKE:-} " in *" debian "* | *" ubuntu "*) say "$PRETTY_NAME" ;; *) fail "this is neither Debian nor Ubuntu." ;; esac
  if ! command -v dotnet >/dev/null || ! dotnet --list-runtimes | grep -q '^Microsoft.AspNetCore.App 10\.'; then
    [ $dry = 1 ] || fail "the ASP.NET Core runtime 10 is missing: install the package aspnetcore-runtime-10.0 or dotnet-sdk-10.0."
    say "missing: the ASP.NET Core runtime 10"
  fi
else
  say "files only, below $root"
fi

step "Packages"
packages=(postgresql redis-server libsodium23 ca-certificates)
[ "$proxy" = none ] || packages+=("$proxy")
missing=()
if [ -z "$root" ]; then
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
fi
if [ ${#missing[@]} -gt 0 ]; then
  machine apt-get update -qq
  machine env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
else
  say "nothing to install"
fi

step "User"
if [ -z "$root" ] && ! id swarm >/dev/null 2>&1; then
  machine useradd --system --user-group --home-dir /var/lib/swarm --no-create-home --shell /usr/sbin/nologin swarm
fi

step "Secrets and settings"
keep 0600 /etc/swarm/secrets/postgres-password random
keep 0600 /etc/swarm/secrets/Swarm__MasterKey random
connection() {
  printf 'Host=127.0.0.1;Username=swarm;Database=swarm;Password=%s;Maximum Pool Size=40' "$(cat "$root/etc/swarm/secrets/postgres-password")"
}
keep 0600 /etc/swarm/secrets/ConnectionStrings__swarm connection
settings() {
  cat <<SETTINGS
# Settings of the node, yours to edit; deploy/install.sh keeps this file. Secrets are files of their own in /etc/swarm/secrets.
Swarm__SecretsFolder=/etc/swarm/secrets
Swarm__DataFolder=/var/lib/swarm
Swarm__PublicUrl=https://$domain
ConnectionStrings__redis=127.0.0.1:6379
DOTNET_EnableDiagnostics=0
SETTINGS
}
keep 0640 /etc/swarm/swarm.env settings
if [ $dry = 0 ]; then
  chmod 0750 "$root/etc/swarm" "$root/etc/swarm/secrets"
fi
machine chown -R root:swarm /etc/swarm
if [ $dry = 0 ] && [ -z "$root" ]; then
  chmod 0640 /etc/swarm/secrets/*
fi

step "Database"
as_postgres() { runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 "$@"; }
database() {
  local password
  password=$(cat /etc/swarm/secrets/postgres-password)
  # The password goes by standard input: arguments are seen by everybody on the machine.
  as_postgres <<SQL
select 'create role swarm login' where not exists (select 1 from pg_roles where rolname = 'swarm') \gexec
alter role swarm password '$password';
SQL
  if [ "$(as_postgres -At -c "select count(*) from pg_database where datname = 'swarm'")" = 0 ]; then
    as_postgres -c "create database swarm owner swarm encoding 'UTF8' template template0"
  fi
}
machine database

step "Release"
if [ $publish = 1 ]; then
  release=/opt/swarm/releases/$(date -u +%Y%m%d-%H%M%S)
  machine dotnet publish "$source_folder/Swarm.Api/Swarm.Api.csproj" -c Release -o "$release/api"
  machine dotnet publish "$source_folder/Swarm.Worker/Swarm.Worker.csproj" -c Release -o "$release/worker"
  machine cp -r "$source_folder/docs" "$release/docs"
  # One rename: there is never no release.
  machine ln -sfn "$release" /opt/swarm/next
  machine mv -T /opt/swarm/next /opt/swarm/current
else
  say "not published"
fi

step "Services"
put 0644 /etc/systemd/system/swarm-api.service <"$here/systemd/swarm-api.service"
put 0644 /etc/systemd/system/swarm-worker.service <"$here/systemd/swarm-worker.service"
machine systemctl daemon-reload
machine systemctl enable --quiet postgresql redis-server swarm-api swarm-worker
machine systemctl restart swarm-api swarm-worker

step "Proxy"
site() { sed "s/swarm\.example\.com/$domain/g" "$here/proxy/$1"; }
# Without the module for HTTP/3 its lines would stop the whole server; before nginx 1.25 HTTP/2 is asked for in another way.
nginx_site() {
  if [ -n "$root" ] || "$proxy" -V 2>&1 | grep -q http_v3_module; then
    site "$proxy.conf"
  elif "$proxy" -v 2>&1 | grep -Eq 'nginx/1\.([0-9]|1[0-9]|2[0-4])\.'; then
    site "$proxy.conf" | sed -e '/# quic$/d' -e '/http2 on;/d' -e 's/443 ssl;/443 ssl http2;/'
  else
    site "$proxy.conf" | sed '/# quic$/d'
  fi
}
restore() {
  local file=$1
  if [ -f "$file.before" ]; then mv "$file.before" "$file"; else rm -f "$file"; fi
  fail "the $proxy configuration is not valid; the one before is back. $2"
}
case $proxy in
  caddy)
    put 0644 /etc/caddy/Caddyfile < <(site Caddyfile)
    if [ -z "$root" ] && [ $dry = 0 ]; then
      caddy validate --config /etc/caddy/Caddyfile --adapter caddyfile >/dev/null 2>&1 || restore /etc/caddy/Caddyfile "See: caddy validate --config /etc/caddy/Caddyfile"
    fi
    machine systemctl reload-or-restart caddy ;;
  nginx | angie)
    folder=/etc/nginx/conf.d
    [ "$proxy" = nginx ] || folder=/etc/angie/http.d
    if [ -z "$root" ] && [ $dry = 0 ] && [ ! -s "/etc/letsencrypt/live/$domain/fullchain.pem" ]; then
      fail "there is no certificate in /etc/letsencrypt/live/$domain. Get one (certbot certonly --standalone -d $domain), then run this again."
    fi
    put 0644 "$folder/swarm.conf" < <(nginx_site)
    if [ -z "$root" ] && [ $dry = 0 ]; then
      "$proxy" -t >/dev/null 2>&1 || restore "$folder/swarm.conf" "See: $proxy -t"
    fi
    machine systemctl reload-or-restart "$proxy" ;;
  none) say "none: see docs/deploy.md" ;;
esac

step "Health"
healthy() {
  local try
  for try in 1 2 3 4 5 6 7 8 9 10; do
    if bash "$here/healthcheck.sh" 2>/dev/null; then
      say "The node is healthy. The operator's token: /var/lib/swarm/operator.token"
      return 0
    fi
    sleep 2
  done
  fail "the node does not answer on port 8700. See: journalctl -u swarm-api -n 50"
}
machine healthy
say
say "Done.${changed:+ Changed:$changed}"
