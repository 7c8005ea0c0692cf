#!/bin/sh
# Runs every test. Arguments go to dotnet test. The last line counts; the exit code is that of dotnet test.
# ./test.sh --faults [--seed N] [--minutes M] [--kinds A,B] runs the fault suite large instead: faults for M minutes (5), in the order that seed N
# gives, of all kinds or of these (their names are in Swarm.Tests/Faults/FaultPlan.cs).
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
      --kinds) SWARM_FAULTS_KINDS=$2 && export SWARM_FAULTS_KINDS ;;
      *) break ;;
    esac
    shift 2
  done
  case ${1:-} in
    --seed | --minutes | --kinds)
      echo "$1 needs a value. Example: ./test.sh --faults --seed 7 --minutes 10 --kinds KillPostgres,CutPostgres" >&2
      exit 2
      ;;
  esac
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
