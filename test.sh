#!/bin/sh
# Runs every test. Arguments go to dotnet test. The last line counts; the exit code is that of dotnet test.
set -u
cd "$(dirname "$0")"
. deploy/setup.sh

install_servers
install_sodium
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
dotnet test Swarm.Tests/Swarm.Tests.csproj --nologo --results-directory "$results" --logger "trx;LogFileName=results.trx" "$@"
code=$?

# The counters of the result file, not of what was printed.
count() { sed -n "s/.*<Counters [^>]*$1=\"\([0-9]*\)\".*/\1/p" "$results/results.trx" 2>/dev/null | head -n 1; }
total=$(count total) executed=$(count executed) passed=$(count passed)
echo "${passed:-0} passed, $((${executed:-0} - ${passed:-0})) failed, $((${total:-0} - ${executed:-0})) skipped"
exit $code
