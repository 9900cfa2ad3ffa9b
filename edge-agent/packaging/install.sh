#!/bin/sh
# Installs the agent as a service of systemd and enrols this device. Run as root; running it again does what is missing, and
# with a newer package installs that. Where systemd does not run, as in an image that is made, the service begins with the next boot.
#
#   sudo sh install.sh [tributary-edge-agent-X.tgz] --url https://central.example --code K7Q2M-… [options of enrol]
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
state=/var/lib/tributary-agent
unit=/etc/systemd/system/tributary-agent.service

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

case "${1:-}" in
  -h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
# Whether systemd is what this machine was booted with, by sd_booted(3).
booted() {
  [ -d /run/systemd/system ]
}

[ "$(id -u)" -eq 0 ] || fail 'run it as root: sudo sh install.sh …'
command -v systemctl >/dev/null || fail 'this machine has no systemd; docs/install-agent.md shows the container.'
# The service finds programs here alone.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
command -v node >/dev/null || fail 'install Node 24 for all users first, below /usr or /usr/local.'
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 24 ] || fail "Node $(node -v) is too old; the agent needs 24."

case "${1:-}" in
  *.tgz)
    # The runtime for processors alone, which comes with the package.
    ONNXRUNTIME_NODE_INSTALL=skip npm install --global --prefix /usr/local "$1"
    shift
    ;;
esac
[ -x /usr/local/bin/tributary-agent ] || fail 'give the package of the agent first: install.sh tributary-edge-agent-X.tgz …'

id -u tributary-agent >/dev/null 2>&1 ||
  useradd --system --user-group --home-dir "$state" --no-create-home --shell /usr/sbin/nologin tributary-agent
install -d -m 0700 -o tributary-agent -g tributary-agent "$state" "$state/data"
install -m 0644 "$here/tributary-agent.service" "$unit"
if booted; then systemctl daemon-reload; fi

# An identity that is there is kept, unless it is to be given up.
case "$([ -e "$state/agent.json" ] && echo enrolled) $* " in
  enrolled*' --force '*) enrol=yes ;;
  enrolled*) enrol=no ;;
  *) enrol=yes ;;
esac
if [ "$enrol" = yes ]; then
  runuser -u tributary-agent -- env STATE_DIR="$state" /usr/local/bin/tributary-agent enrol "$@"
fi
# A device without data waits for some; its owner sees why in the log.
[ -e "$state/data/datasets.json" ] ||
  echo '{ "datasets": [] }' | install -m 0600 -o tributary-agent -g tributary-agent /dev/stdin "$state/data/datasets.json"
systemctl enable tributary-agent
# Also where it runs already: program, unit or identity may be new.
if booted; then systemctl restart tributary-agent; fi
runuser -u tributary-agent -- env STATE_DIR="$state" /usr/local/bin/tributary-agent doctor || true
echo "Declare data in $state/data/datasets.json, rules in $state/data/policy.json. The log: journalctl -u tributary-agent"
