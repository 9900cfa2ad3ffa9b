#!/bin/sh
# Ends process groups when the supervisor is gone, however it ended. Reads lines from a pipe that the supervisor holds:
#   guard <group> <signal>     release <group>
# End of file means that the supervisor is gone: every guarded group gets its signal, and SIGKILL eight seconds later.
trap '' HUP INT TERM
guarded=''
without() {
  kept=''
  for entry in $guarded; do
    [ "${entry%%:*}" = "$1" ] || kept="$kept $entry"
  done
  guarded="$kept"
}
while read -r verb group signal; do
  case "$group" in '' | *[!0-9]*) continue ;; esac
  without "$group"
  if [ "$verb" = guard ]; then guarded="$guarded $group:$signal"; fi
done
for entry in $guarded; do kill -s "${entry##*:}" -- "-${entry%%:*}" 2>/dev/null; done
ticks=0
while [ $ticks -lt 80 ]; do
  alive=''
  for entry in $guarded; do
    if kill -s 0 -- "-${entry%%:*}" 2>/dev/null; then alive="$alive $entry"; fi
  done
  [ -n "$alive" ] || exit 0
  guarded="$alive"
  sleep 0.1 2>/dev/null || sleep 1
  ticks=$((ticks + 1))
done
for entry in $guarded; do kill -s KILL -- "-${entry%%:*}" 2>/dev/null; done
