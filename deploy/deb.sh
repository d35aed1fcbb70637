#!/usr/bin/env bash
# Builds the Debian package of the daemon, with the addon for Odoo in it: target/deb/wabridge_<version>_<architecture>.deb
#
#   bash deploy/deb.sh                     builds the program too, if need be; needs no root
#   bash deploy/deb.sh --out FOLDER        puts the package there
#   bash deploy/deb.sh --revision N        the package's own revision; else that of deploy/debian/changelog
#
# The same checkout and compiler give the same package, byte for byte: every time in it is that of the changelog, or
# SOURCE_DATE_EPOCH. WABRIDGE_PREBUILT names a program to be packed instead of building one.
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for noun in say machine bridge; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/deploy/lib/$noun.sh"
done
export LC_ALL=C TZ=UTC
umask 022

FILES=$CHECKOUT/deploy/debian OUT=$CHECKOUT/target/deb
VERSION=$(sed -n '1s/^wabridge (\(.*\)) .*/\1/p' "$FILES/changelog")
while [ $# -gt 0 ]; do
  case $1 in
    --out) OUT=${2:?a folder}; shift 2 ;;
    --revision) VERSION=${VERSION%-*}-${2:?a number}; shift 2 ;;
    *) sed '/^#!/d; /^[^#]/Q; s/^# \?//' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
done

deb_check() {
  local program
  for program in dpkg-deb strip readelf; do
    command -v $program >/dev/null || fail "$program is missing: apt-get install dpkg binutils"
  done
  program=$(sed -n 's/^version = "\(.*\)"/\1/p' "$CHECKOUT/Cargo.toml" | head -1)
  [ "${VERSION%-*}" = "$program" ] || fail "deploy/debian/changelog is of version ${VERSION%-*}, the program of $program: add an entry to the changelog"
}

# The libraries that the program asks for, as Debian's packages; one that is not known here stops the build.
deb_depends() { # PROGRAM
  local library depends=()
  for library in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $library in
      libc.so.6 | libm.so.6 | ld-linux-*) ;;
      libgcc_s.so.1) depends+=("libgcc-s1 (>= 4.2)") ;;
      *) fail "the program needs $library: say in deploy/deb.sh which package has it" ;;
    esac
  done
  library=$(readelf -V "$1" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)
  depends=("libc6 (>= ${library#GLIBC_})" "${depends[@]}" "adduser" "ca-certificates")
  printf '%s, ' "${depends[@]}" | sed 's/, $//'
}

# The example without its databases: nobody's placeholder is ever taken for a key.
deb_settings() { sed '/^# One section for each Odoo database/,$ s/^[^#]/# &/' "$CHECKOUT/deploy/wabridge.example.toml"; }

# The manual page is what the program says of itself.
deb_manual() { # PROGRAM
  printf '.TH WABRIDGE 1 "%s" "wabridge %s" "User Commands"\n' "$(date -d "@$SOURCE_DATE_EPOCH" +%F)" "${VERSION%-*}"
  printf '.SH NAME\nwabridge \\- WhatsApp bridge for Odoo\n.SH SYNOPSIS\n.B wabridge\n[\\fI\\-\\-config FILE\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n.nf\n'
  "$1" --help | sed 's/\\/\\\\/g; s/-/\\-/g; s/^\([.'\'']\)/\\\&\1/'
  printf '.fi\n.PP\nEach command says more with \\fB\\-\\-help\\fR.\n.SH FILES\n'
  printf '.TP\n.I /etc/wabridge/wabridge.toml\nThe settings.\n.TP\n.I /var/lib/wabridge\nFiles of messages, sealed.\n'
  printf '.TP\n.I /usr/share/wabridge/odoo_addon\nThe addons for Odoo.\n.TP\n.I /usr/share/doc/wabridge\nInstallation (README.md), operation (docs/OPERATIONS.md), examples.\n'
}

deb_tree() { # ROOT PROGRAM
  local root=$1 program=$2 doc=$1/usr/share/doc/wabridge file
  mkdir -p "$root"/{DEBIAN,etc/wabridge,usr/bin,usr/lib/systemd/system,usr/share/{wabridge,man/man1,lintian/overrides}} "$doc"/{docs,examples}
  install -m 755 "$program" "$root/usr/bin/wabridge"
  strip --strip-unneeded "$root/usr/bin/wabridge"
  cp "$CHECKOUT/deploy/wabridge.service" "$root/usr/lib/systemd/system/"
  deb_settings >"$root/etc/wabridge/wabridge.toml"
  cp -r "$CHECKOUT/odoo_addon" "$root/usr/share/wabridge/"
  deb_manual "$program" | gzip -9n >"$root/usr/share/man/man1/wabridge.1.gz"
  cp "$FILES/lintian-overrides" "$root/usr/share/lintian/overrides/wabridge"
  cp "$FILES/copyright" "$CHECKOUT/README.md" "$doc/"
  cp "$CHECKOUT"/docs/*.md "$doc/docs/"
  deb_crates >"$doc/CRATES"
  gzip -9nc "$FILES/changelog" >"$doc/changelog.Debian.gz"
  gzip -9nc "$CHECKOUT/CHANGELOG.md" >"$doc/changelog.gz"
  cp "$CHECKOUT/deploy/wabridge.example.toml" "$CHECKOUT/deploy/wabridge.service.d/credentials.conf" "$doc/examples/"
  for file in nginx prometheus grafana; do
    [ ! -d "$CHECKOUT/deploy/$file" ] || cp -r "$CHECKOUT/deploy/$file" "$doc/examples/"
  done
  find "$root" \( -name __pycache__ -o -name '*.pyc' -o -name '.?*' \) -prune -exec rm -rf {} +
  find "$root" -type d -exec chmod 755 {} +
  find "$root/usr/share" "$root/usr/lib" -type f -exec chmod 644 {} +
  # somebody may write a password into it; postinst gives it to the daemon's group
  chmod 640 "$root/etc/wabridge/wabridge.toml"
}

# What is linked in, each with its licence.
deb_crates() {
  echo "Crates that are part of /usr/bin/wabridge, and their licences:"
  (cd "$CHECKOUT" && as_builder "${CARGO:-cargo}" tree --locked --package wabridge --edges normal --prefix none --no-dedupe --format '{p} {l}') |
    sed 's/ ([^)]*)//g' | sort -u
}

deb_control() { # ROOT
  local root=$1 script
  echo /etc/wabridge/wabridge.toml >"$root/DEBIAN/conffiles"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  for script in postinst prerm postrm; do install -m 755 "$FILES/$script" "$root/DEBIAN/$script"; done
  cat >"$root/DEBIAN/control" <<C
Package: wabridge
Version: $VERSION
Architecture: $(dpkg --print-architecture)
Maintainer: $(sed -n '/^ -- /{s/^ -- \(.*>\)  .*/\1/p;q}' "$FILES/changelog")
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: $(deb_depends "$root/usr/bin/wabridge")
Suggests: nginx, postgresql, prometheus
Section: net
Priority: optional
Description: WhatsApp bridge for Odoo
 A daemon beside Odoo 14 or 19 that sends and receives WhatsApp messages. It
 talks to the provider (WHAPI.cloud, Wassenger, Meta's Cloud API or another
 one by configuration) and writes into Odoo's PostgreSQL database.
 .
 The addons for Odoo are in /usr/share/wabridge/odoo_addon.
C
  chmod 644 "$root"/DEBIAN/{conffiles,md5sums,control}
}

machine_cargo
deb_check
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n '/^ -- /{s/.*>  //p;q}' "$FILES/changelog")" +%s)}
export SOURCE_DATE_EPOCH
bridge_build
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
deb_tree "$ROOT/tree" "$WABRIDGE_BIN"
deb_control "$ROOT/tree"
PACKAGE=$OUT/wabridge_${VERSION}_$(dpkg --print-architecture).deb
mkdir -p "$OUT"
# one thread: with more of them the compressed bytes depend on the machine
dpkg-deb --root-owner-group -Zxz -z"${DEB_LEVEL:-6}" --threads-max=1 --build "$ROOT/tree" "$PACKAGE" >/dev/null
say "made ${PACKAGE#"$CHECKOUT"/}, $(du -h "$PACKAGE" | cut -f1); next: sudo apt-get install ./${PACKAGE#"$CHECKOUT"/}"
