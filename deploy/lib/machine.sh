# shellcheck shell=bash disable=SC2154
# Is this a machine the scripts can work on? Needs CHECKOUT. Each refusal is one line with the cure.

PATH=$PATH:/usr/sbin:/sbin                       # chroot, runuser and others; a plain user's PATH may lack it

# cargo as the person who started the script has it, also behind sudo's short PATH. Sets CARGO.
machine_cargo() {
  local need have home
  [ -z "${WABRIDGE_PREBUILT:-}" ] || { [ -x "$WABRIDGE_PREBUILT" ] || fail "WABRIDGE_PREBUILT names $WABRIDGE_PREBUILT, which is no program"; CARGO=; return 0; }
  need=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$CHECKOUT/Cargo.toml" | head -1)
  home=$(getent passwd "${SUDO_USER:-$(id -un)}" | cut -d: -f6)
  CARGO=${WABRIDGE_CARGO:-$(command -v cargo || :)}
  [ -n "$CARGO" ] || for CARGO in "$home/.cargo/bin/cargo" /usr/local/cargo/bin/cargo ""; do [ ! -x "$CARGO" ] || break; done
  local cure="get it with rustup (https://rustup.rs; on Debian 13: apt-get install rustup), then: rustup toolchain install stable"
  [ -n "$CARGO" ] || fail "cargo >= $need is needed and there is none: $cure"
  have=$(as_builder "$CARGO" --version 2>/dev/null | awk '{print $2}') || have=
  [ -n "$have" ] || fail "cargo >= $need is needed and $CARGO does not run: $cure"
  [ "$(printf '%s\n%s\n' "$need" "${have%%-*}" | sort -V | head -1)" = "$need" ] ||
    fail "cargo >= $need is needed, $CARGO is $have: $cure"
}

# Runs a command as the person behind sudo, so that nothing in the checkout's target/ or in ~/.cargo becomes root's.
as_builder() {
  if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    local home; home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
    runuser -u "$SUDO_USER" -- env HOME="$home" PATH="${CARGO:+${CARGO%/*}:}$PATH" ${CARGO_HOME:+CARGO_HOME="$CARGO_HOME"} \
      ${RUSTUP_HOME:+RUSTUP_HOME="$RUSTUP_HOME"} "$@"
  else
    PATH="${CARGO:+${CARGO%/*}:}$PATH" "$@"
  fi
}

# Becomes root with sudo when started by somebody else; asks for nothing. Call with the script and its arguments.
machine_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || fail "root is needed (packages, chroot, mounts) and there is no sudo: run it as root"
  sudo -n true 2>/dev/null || fail "root is needed (packages, chroot, mounts) and sudo wants a password: run it with sudo"
  local v keep=(SAY_T0="$SAY_T0")
  # what the caller exported for us; sudo itself hands on next to nothing
  for v in $(compgen -e | grep -E '^(PATH|CARGO_HOME|RUSTUP_HOME|ODOO_SERIES|ODOO_1[49]_VERSION|DEBIAN_ARCHIVE_MIRROR|DEMO_[A-Z_]+|WABRIDGE_[A-Z]+|TEST_PORTS)$'); do keep+=("$v=${!v}"); done
  exec sudo -n env "${keep[@]}" WABRIDGE_CARGO="${CARGO:-}" bash "$@" 3>&1
}

machine_system() {
  local ID=unknown VERSION_ID='' PRETTY_NAME='this system' free
  # shellcheck source=/dev/null
  [ ! -r /etc/os-release ] || . /etc/os-release
  case $ID-$VERSION_ID in
    debian-12|debian-13) ;;
    *) fail "Debian 12 or 13 is needed (packages are taken from its archive), $PRETTY_NAME is neither: use such a machine, or a virtual one" ;;
  esac
  unshare --mount --propagation unchanged true 2>/dev/null ||
    fail "root may not mount here (a container without CAP_SYS_ADMIN?), the Odoo root needs it: run the container with --cap-add SYS_ADMIN, or use a machine of its own"
  free=$(df -Pk "$CHECKOUT" | awk 'NR==2 {print int($4 / 1048576)}')
  [ "$free" -ge 6 ] || fail "6 GB of free disk are needed for build, Odoo and database, $CHECKOUT has $free GB: free some"
}

# target/ belongs to who builds; what root puts there stays in folders of its own.
machine_target() { [ -d "$CHECKOUT/target" ] || as_builder mkdir -p "$CHECKOUT/target"; mkdir -p "$CHECKOUT/target/odoo"; }
