#!/bin/sh
# Starts the shim with the Node that the checkout brings.
here=$(dirname "$0")
exec "$here/../../node_modules/.bin/node" "$here/shim.ts" "$@"
