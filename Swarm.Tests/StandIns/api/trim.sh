#!/bin/sh
# Copies from the full API lists (first argument: their folder) the lines of those types that the stand-ins declare, and of them
# only members whose name occurs in the stand-in's source.
set -eu
lists=${1:?usage: trim.sh FOLDER-OF-FULL-LISTS}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)

trim() { # stand-in folder, list
  words=$(mktemp)
  {
    grep -rhoE '\b(class|struct|interface|enum|record)[[:space:]]+[A-Z][A-Za-z0-9_]*' --include='*.cs' "$root/standins/$1" | awk '{ print "T", $2 }'
    grep -rhoE '[A-Za-z_][A-Za-z0-9_]*' --include='*.cs' "$root/standins/$1" | awk '{ print "W", $1 }'
  } | sort -u > "$words"
  awk '
    NR == FNR { if ($1 == "T") type[$2] = 1; else word[$2] = 1; next }
    {
      split($0, cell, / [|] /)
      name = cell[2]; sub(/`[0-9]+$/, "", name); sub(/.*[.]/, "", name)
      if (!(name in type)) next
      member = cell[4]
      if (cell[3] == "method" || cell[3] == "extension") { sub(/\(.*/, "", member); sub(/<[^<>]*>$/, "", member) }
      if (cell[3] == "property") sub(/ [{].*/, "", member)
      if (cell[3] == "field") sub(/ = .*/, "", member)
      sub(/.* /, "", member)
      if (cell[3] == "type" || cell[3] == "ctor" || member ~ /^op_|\]$|^(Equals|GetHashCode|ToString|Deconstruct|EqualityContract|PrintMembers)$/ || (member in word)) print
    }' "$words" "$lists/$2" > "$here/$2"
  rm -f "$words"
}

trim NSec.Cryptography nsec.txt
trim StackExchange.Redis stackexchange.redis.txt
trim StackExchange.Redis stackexchange.redis.marked.txt
trim Aspire.Components aspire.components.txt
trim Aspire.Hosting aspire.hosting.txt
trim Aspire.Hosting aspire.hosting.marked.txt
cp "$lists/FORMAT.txt" "$here/FORMAT.txt"
