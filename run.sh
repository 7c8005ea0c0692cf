#!/bin/sh
# Starts everything: installs what is missing when it may, builds what changed, then runs the app host. Arguments go to the app host.
set -eu
cd "$(dirname "$0")"
. deploy/setup.sh

install_servers
install_sodium
choose_package_set

# dotnet run looks through every project for changes, which takes longer than the start itself; one look at the files does as well.
stamp=artifacts/$PackageSet/.built
if [ ! -f "$stamp" ] || [ -n "$(find . \( -name artifacts -o -name .git -o -name .swarm \) -prune -o \
  -type f \( -name '*.cs' -o -name '*.csproj' -o -name '*.props' -o -name '*.targets' -o -name '*.json' -o -name '*.sql' \) \
  -newer "$stamp" -print 2>/dev/null | head -n 1)" ]; then
  echo "Building ..."
  started=$(mktemp)
  dotnet build Swarm.AppHost/Swarm.AppHost.csproj --nologo -v quiet
  mv "$started" "$stamp"
fi
exec dotnet run --no-build --project Swarm.AppHost -- "$@"
