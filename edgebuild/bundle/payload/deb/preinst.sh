#!/bin/sh
# Before an upgrade, keep the bundle that is there if it is well: the service falls back to it.
set -e
here=${DPKG_ROOT:-}/usr/lib/@NAME@/bundle
kept=${DPKG_ROOT:-}/var/lib/@NAME@
if [ "$1" = upgrade ] && [ -d "$here" ] && python3 -B "$here/run.py" --self-test >/dev/null 2>&1; then
    mkdir -p "$kept"
    rm -rf "$kept/fresh"
    cp -R "$here" "$kept/fresh"
    rm -rf "$kept/before"
    mv "$kept/fresh" "$kept/before"
fi
