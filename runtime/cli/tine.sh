#!/bin/sh
# The `tine` command: finds the Node it was built with and the compiled program beside it, through symlinks.
self=$(readlink -f -- "$0")
bin=${self%/*}
# Reading extra certificates costs every start of Node 40 ms, and Tine makes no TLS connection.
unset NODE_EXTRA_CA_CERTS
exec "$(cat -- "$bin/node-path")" --no-warnings "$bin/../js/runtime/cli/main.js" "$@"
