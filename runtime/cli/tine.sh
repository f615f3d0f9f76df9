#!/bin/sh
# The `tine` command: finds the Node it was built with and the compiled program beside it, through symlinks.
self=$(readlink -f -- "$0")
bin=${self%/*}
# Reading extra certificates costs every start of Node 40 ms, and Tine makes no TLS connection.
unset NODE_EXTRA_CA_CERTS
# Node forgets which signals its caller ignores (nohup), raises the soft limit on descriptors and marks those it
# inherits close-on-exec: `tine do` hands all three on to the program as they were.
while read -r name value; do
  if [ "$name" = SigIgn: ]; then export TINE_SIGNALS_IGNORED="$value"; break; fi
done </proc/$$/status
TINE_DESCRIPTORS=
number=3
while [ "$number" -lt 32 ]; do
  # One of them is the shell's own: this script.
  file=/proc/$$/fd/$number
  if [ -e "$file" ] && ! [ "$file" -ef "$self" ]; then TINE_DESCRIPTORS="$TINE_DESCRIPTORS $number"; fi
  number=$((number + 1))
done
export TINE_DESCRIPTORS
node=$(cat -- "$bin/node-path" 2>/dev/null)
# That one may have been removed since.
if ! [ -x "$node" ]; then node=node; fi
if [ "$node" = node ] && ! command -v node >/dev/null; then
  echo "tine: no Node.js: neither the one that $bin/node-path names nor one in PATH; install Node 20.19 or newer" >&2
  exit 125
fi
TINE_SOFT_DESCRIPTORS=$(ulimit -Sn) exec "$node" --no-warnings "$bin/../js/linked/tine.cjs" "$@"
