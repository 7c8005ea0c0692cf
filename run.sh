#!/bin/sh
# Starts everything: installs what is missing when it may, then runs the app host. Arguments go to the app host.
set -eu
cd "$(dirname "$0")"
. deploy/setup.sh

install_servers
choose_package_set
exec dotnet run --project Swarm.AppHost -- "$@"
