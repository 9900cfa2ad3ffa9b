#!/bin/sh
# A machine that lasts as long as its mount namespace: this one's /usr and /etc with an empty /usr/local and /var, in memory. Runs a command there.
#
#   NODE=… REPOSITORY=… unshare --mount sh fresh-machine.sh folder command …
set -eu
root=$1
shift
mount -t tmpfs -o mode=755 none "$root"
cd "$root"
mkdir -p usr etc var/lib var/tmp var/log tmp run proc dev root home opt/tributary
mount --rbind /usr usr
mount -t tmpfs -o mode=755 none usr/local
mkdir -p usr/local/bin usr/local/lib
cp -a /etc/. etc/
rm -f etc/systemd/system/tributary-agent.service
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
mount --rbind /proc proc
mount --rbind /dev dev
chmod 1777 tmp var/tmp
touch usr/local/bin/node
mount --bind "$NODE" usr/local/bin/node
mount --bind "$REPOSITORY" opt/tributary
exec chroot "$root" "$@"
