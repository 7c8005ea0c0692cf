#!/usr/bin/env bash
# Two agents meet: they form a swarm, exchange ten messages each way (one of 200 kB, one with emoji and right-to-left scripts, one
# empty), and read them back. Every content and the order are checked, and so is what `inbox --follow` showed live meanwhile.
#
#   docs/quickstart.sh          starts the product if none runs, and stops it again if it started it
#
# Needs bash, coreutils, and what the product needs. Can be run as often as you like: the names are new each time.
set -euo pipefail

repo=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
swarm=$repo/swarm
start_seconds_max=300 # a first start builds everything
live_seconds_max=30
work=$(mktemp -d)
export SWARM_HOME=$work/profile # a profile of its own: yours stays as it is
node_pid=
follower_pids=()

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf '\nquickstart FAILED: %s\n' "$*" >&2; exit 1; }

cleanup() {
  local code=$?
  if ((${#follower_pids[@]})); then
    kill "${follower_pids[@]}" 2>/dev/null || true
  fi
  if [[ -n $node_pid ]]; then
    echo "Stopping the node that this script started ..."
    kill -INT -- "-$node_pid" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 "$node_pid" 2>/dev/null || break
      sleep 0.2
    done
  fi
  if ((code)) && [[ -s $work/node.log ]]; then
    echo "The end of the node's output:" >&2
    tail -n 30 "$work/node.log" >&2
  fi
  rm -rf "$work"
  exit "$code"
}
trap cleanup EXIT

# The value of a top-level key of pretty-printed JSON on standard input.
value_of() { sed -n 's/^  "'"$1"'": "\{0,1\}\(.*[^",]\)"\{0,1\},\{0,1\}$/\1/p'; }

# Exit code 3 means that nobody answers; anything else is a node.
node_answers() {
  local code=0
  "$swarm" status --json >"$work/status.json" 2>/dev/null || code=$?
  ((code != 3))
}

# ---------------------------------------------------------------------------------------------------------------------------------
say "1. A node"
"$swarm" --version >/dev/null || fail "the swarm command cannot be built"
if node_answers; then
  echo "One is running already."
else
  echo "None runs; starting one with ./run.sh (the first start builds everything) ..."
  set -m # a process group of its own, so that Ctrl-C here ends this script first and the node in order
  "$repo/run.sh" >"$work/node.log" 2>&1 </dev/null &
  node_pid=$!
  set +m
  deadline=$((SECONDS + start_seconds_max))
  until node_answers; do
    kill -0 "$node_pid" 2>/dev/null || fail "the node ended while it started"
    ((SECONDS < deadline)) || fail "the node did not answer within $start_seconds_max s"
    sleep 0.5
  done
fi
value_of url <"$work/status.json" || true

# ---------------------------------------------------------------------------------------------------------------------------------
tag=$(date +%s)-$$
alice=alice-$tag
bob=bob-$tag

say "2. Two agents, a swarm, an invitation, a join"
"$swarm" init -a "$alice"
"$swarm" init -a "$bob"
"$swarm" create --as "$alice" -n "quickstart $tag" --json >"$work/created.json"
swarm_id=$(value_of swarm_id <"$work/created.json")
[[ $swarm_id =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] || fail "create gave no swarm id"
echo "$alice created swarm $swarm_id"
"$swarm" invite --as "$alice" -e 1 -m 1 --json | value_of invite_token >"$work/invitation"
"$swarm" join --as "$bob" -t - <"$work/invitation"
"$swarm" list --as "$bob" --members

# ---------------------------------------------------------------------------------------------------------------------------------
say "3. Both follow their inboxes live, each in the background"
follow() {
  "$swarm" inbox --follow --as "$1" --json --max 10 >"$work/live-$2.jsonl" 2>"$work/live-$2.note" &
  follower_pids+=($!)
}
follow "$bob" bob
follow "$alice" alice
for who in bob alice; do
  deadline=$((SECONDS + live_seconds_max))
  until grep -q '^Following' "$work/live-$who.note"; do
    ((SECONDS < deadline)) || fail "$who could not follow: $(cat "$work/live-$who.note")"
    sleep 0.1
  done
  cat "$work/live-$who.note"
done

# ---------------------------------------------------------------------------------------------------------------------------------
say "4. Ten messages each way"
prepare() { # direction: the ten contents, one file each
  local i
  for i in 1 2 3 4 6 8 10; do
    printf 'Message %s of ten from %s' "$i" "$1" >"$work/$1.$i"
  done
  printf 'Emoji 🐝👩‍💻🚀, Hebrew שלום עולם, Arabic مرحبا بالعالم — all in one line' >"$work/$1.5"
  : >"$work/$1.7"
  head -c 160000 /dev/urandom | base64 -w 100 >"$work/noise"
  head -c 200000 "$work/noise" >"$work/$1.9"
}

send_all() { # from, to, direction
  local i
  for i in 1 2 3 4 5 6 7 8 9 10; do
    case $i in
      5) "$swarm" send --as "$1" -t "$2" --json -m "$(cat "$work/$3.$i")" ;;
      6) "$swarm" send --as "$1" -t "$2" --json <"$work/$3.$i" ;;
      7) "$swarm" send --as "$1" -t "$2" --json -m "" --allow-empty ;;
      9) "$swarm" send --as "$1" -t "$2" --json --file "$work/$3.$i" ;;
      *) "$swarm" send --as "$1" -t "$2" --json -m "$(cat "$work/$3.$i")" --priority normal ;;
    esac >"$work/sent.json" || fail "message $i from $1 was not accepted: $(cat "$work/sent.json")"
    value_of message_id <"$work/sent.json" >>"$work/$3.ids"
  done
  echo "$1 sent ten messages to $2: $(cat "$work/$3".? "$work/$3".10 | wc -c) bytes"
}

prepare from-alice
prepare from-bob
send_all "$alice" "$bob" from-alice
send_all "$bob" "$alice" from-bob
[[ $(sort -u "$work/from-alice.ids" "$work/from-bob.ids" | wc -l) == 20 ]] || fail "not every message got an id of its own"

# ---------------------------------------------------------------------------------------------------------------------------------
say "5. What was shown live"
check_live() { # who, pid, direction
  local waited=$SECONDS
  while kill -0 "$2" 2>/dev/null; do
    ((SECONDS - waited < live_seconds_max)) || fail "$1 saw only $(wc -l <"$work/live-$1.jsonl") of ten messages live"
    sleep 0.1
  done
  wait "$2" || fail "following as $1 ended with exit code $?: $(cat "$work/live-$1.note")"
  sed -n 's/^{"seq":[0-9]*,"message_id":"\([^"]*\)".*/\1/p' "$work/live-$1.jsonl" >"$work/live-$1.ids"
  cmp "$work/$3.ids" "$work/live-$1.ids" || fail "$1 did not see the ten messages live in their order"
  grep -qF 'שלום עולם' "$work/live-$1.jsonl" || fail "$1 did not see the right-to-left text live"
  echo "$1 saw all ten live, in order, $(wc -c <"$work/live-$1.jsonl") bytes:"
  cut -c 1-100 "$work/live-$1.jsonl" | head -n 2
}
check_live bob "${follower_pids[0]}" from-alice
check_live alice "${follower_pids[1]}" from-bob
follower_pids=()

# ---------------------------------------------------------------------------------------------------------------------------------
say "6. Reading them back, one by one"
unread_of() { "$swarm" messages --count --as "$1" --json | value_of unread; }
read_back() { # reader, direction
  local i
  [[ $(unread_of "$1") == 10 ]] || fail "$1 has $(unread_of "$1") unread messages instead of ten"
  "$swarm" messages --as "$1" --no-mark-read --json | sed -n 's/^ *"message_id": "\(.*\)",$/\1/p' >"$work/list.ids"
  cmp "$work/$2.ids" "$work/list.ids" || fail "the inbox of $1 is not in the order of sending"
  for i in 1 2 3 4 5 6 7 8 9 10; do
    "$swarm" messages --as "$1" -l 1 --raw >"$work/got"
    cmp "$work/$2.$i" "$work/got" || fail "message $i to $1 came back changed"
  done
  [[ $(unread_of "$1") == 0 ]] || fail "$1 has unread messages left"
  echo "$1 read ten messages, each byte for byte, in order; none is left unread"
}
read_back "$bob" from-alice
read_back "$alice" from-bob

# ---------------------------------------------------------------------------------------------------------------------------------
say "7. A stranger is refused"
mallory=mallory-$tag
"$swarm" init -a "$mallory" >/dev/null
code=0
"$swarm" send --as "$mallory" -s "$swarm_id" -m "let me in" >"$work/refused" 2>&1 || code=$?
cat "$work/refused"
((code == 5)) || fail "a stranger's message gave exit code $code instead of 5"
[[ $(unread_of "$bob") == 0 ]] || fail "a stranger's message arrived"

say "quickstart: everything arrived, in order, byte for byte."
