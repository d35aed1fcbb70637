#!/usr/bin/env bash
# The first process of new namespaces: makes the first folder its root and becomes systemd there. The second one, the
# demo's Odoo, is seen as /opt/odoo-root, with folders of this machine in it; it stays as it is. Started by root.sh.
set -euo pipefail
ROOT=$1 ODOO=$2
mount --rbind "$ROOT" "$ROOT"
cd "$ROOT"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs opt/odoo-root
mkdir -p opt/odoo-root/{upper/{etc/odoo,etc/wabridge,opt/odoo-addons,run/postgresql,var/lib/odoo},work}
mount -t overlay -o lowerdir="$ODOO",upperdir=opt/odoo-root/upper,workdir=opt/odoo-root/work overlay opt/odoo-root
ip link set lo up 2>/dev/null || true             # systemd does it too
hostname example
pivot_root . .
umount -l .
cd /
# as it is on a machine; systemd's credentials come to a service this way
mount --make-rshared /
exec env -i container=wabridge PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=false
