#!/bin/sh
# Runs every test. Arguments go to dotnet test. The last line counts; the exit code is that of dotnet test.
# ./test.sh --faults [--seed N] [--minutes M] runs the fault suite large instead: faults for M minutes (5), in the order that seed N gives.
set -u
cd "$(dirname "$0")"
. deploy/setup.sh

progress="" log=""
if [ "${1:-}" = --faults ]; then
  shift
  SWARM_FAULTS_MINUTES=5
  while [ $# -gt 1 ]; do
    case $1 in
      --seed) SWARM_TEST_SEED=$2 && export SWARM_TEST_SEED ;;
      --minutes) SWARM_FAULTS_MINUTES=$2 ;;
      *) break ;;
    esac
    shift 2
  done
  if [ "${1:-}" = --seed ] || [ "${1:-}" = --minutes ]; then
    echo "$1 needs a number. Example: ./test.sh --faults --seed 7 --minutes 10" >&2
    exit 2
  fi
  log=$(mktemp)
  SWARM_FAULTS_LOG=$log
  export SWARM_FAULTS_MINUTES SWARM_FAULTS_LOG
  # The test host's own output is shown only at its end; this file grows as it goes.
  tail -n +1 -f "$log" &
  progress=$!
  set -- --filter "FullyQualifiedName~Swarm.Tests.Faults.FaultSuiteTests" "$@"
fi

install_servers
install_sodium
results=$(mktemp -d)
trap 'rm -rf "$results" ${log:+"$log"}; [ -z "$progress" ] || kill "$progress" 2>/dev/null' EXIT
dotnet test Swarm.Tests/Swarm.Tests.csproj --nologo --results-directory "$results" --logger "trx;LogFileName=results.trx" "$@"
code=$?

# The counters of the result file, not of what was printed.
count() { sed -n "s/.*<Counters [^>]*$1=\"\([0-9]*\)\".*/\1/p" "$results/results.trx" 2>/dev/null | head -n 1; }
total=$(count total) executed=$(count executed) passed=$(count passed)
echo "${passed:-0} passed, $((${executed:-0} - ${passed:-0})) failed, $((${total:-0} - ${executed:-0})) skipped"
exit $code
