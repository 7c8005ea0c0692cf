# Sourced by run.sh and test.sh.

# How long the trial of the real packages may take, in seconds.
restore_limit=60

# Debian's Redis and PostgreSQL, when they are missing and we are root. Without Redis the node runs on Postgres signals.
install_servers() {
  missing=""
  command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1 || missing="redis-server"
  command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
  if [ -z "$missing" ] || timeout 5 docker info >/dev/null 2>&1 || timeout 5 podman info >/dev/null 2>&1; then
    return 0
  fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed:$(printf ' %s' $missing). Install it for the full product (Debian: apt-get install$(printf ' %s' $missing))." >&2
    return 0
  fi
  echo "Installing$(printf ' %s' $missing) ..."
  # shellcheck disable=SC2086
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1; then
    echo "Installing failed; going on without." >&2
  fi
}

# Debian's libsodium, when it is missing and we are root: it verifies signatures half again to twice as fast as OpenSSL, which is used without it.
install_sodium() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && ! ldconfig -p 2>/dev/null | grep -q 'libsodium\.so\.2[36]'; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libsodium23; } >/dev/null 2>&1 || true
  fi
}

# The real packages where the feed holds them, else the stand-ins. Tried once, remembered in the ignored file .packageset.
choose_package_set() {
  if [ -n "${PackageSet:-}" ]; then
    return 0
  fi
  if [ ! -s .packageset ]; then
    if PackageSet=full timeout "$restore_limit" dotnet restore Swarm.AppHost/Swarm.AppHost.csproj -p:RestoreLockedMode=false >/dev/null 2>&1; then
      echo full >.packageset
    else
      echo standin >.packageset
    fi
  fi
  PackageSet=$(cat .packageset)
  export PackageSet
}
