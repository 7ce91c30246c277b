#!/bin/sh
# Debian's kernel, and a first root that lends a virtual machine this machine's files: build.sh FOLDER
#
# It makes FOLDER/vmlinuz and FOLDER/initrd: a kernel that has vivid, the driver of a virtual camera, which no container
# can load for itself. Without apt-get, cpio, busybox (tests/debian-packages.sh) or the package nothing is made, and the
# test that needs it is skipped, with its reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ -s "$folder/initrd" ] && exit 0
for program in apt-get dpkg-deb cpio busybox; do
    command -v "$program" >/dev/null || {
        echo "no virtual machine is made: $program is not installed" >&2
        exit 0
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt downloads as another user
cd "$work"
package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: //p' | head -n 1)
apt-get download -qq "$package" 2>/dev/null || {
    echo "no virtual machine is made: Debian's kernel (linux-image-amd64) cannot be downloaded here" >&2
    exit 0
}
dpkg-deb -x ./*.deb kernel
version=$(ls kernel/lib/modules)
modules=lib/modules/$version
busybox depmod -b "$work/kernel" "$version"

mkdir -p root/bin root/proc root/sys root/dev root/root "root/$modules"
cp "$(command -v busybox)" root/bin/
cp "$here/init" root/init
for name in virtio_pci 9p 9pnet_virtio vivid; do
    sed -n "s|^\(.*/$name\.ko\): *\(.*\)|\1 \2|p" "kernel/$modules/modules.dep" | tr ' ' '\n'
done | sort -u | sed '/^$/d' >needed
tar -C "kernel/$modules" -cf - -T needed | tar -C "root/$modules" -xf -
busybox depmod -b "$work/root" "$version"
cp "kernel/boot/vmlinuz-$version" "$folder/vmlinuz"
(cd root && find . | cpio --quiet -o -H newc) | gzip -1 >"$folder/initrd.partial"
mv "$folder/initrd.partial" "$folder/initrd"
