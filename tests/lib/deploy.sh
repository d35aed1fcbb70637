# shellcheck shell=bash disable=SC2034,SC2154
# What administrators install: the Debian package on a clean root, the README's steps, nginx, the files for containers.

# shellcheck source=/dev/null
for noun in root install nginx container; do . "$CHECKOUT/tests/deploy/$noun.sh"; done

# What the sections need is fetched beside other work.
deploy_begin() {
  as_builder mkdir -p "$DEPLOY"
  deploy_packages
  clean_ready || begin clean "$REPORTS/deploy-clean.log" "making a clean root with systemd" clean_build
}

deploy_packages() {
  local missing=()
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v lintian >/dev/null || missing+=(lintian)
  command -v strip >/dev/null || missing+=(binutils)
  command -v docker-compose >/dev/null || missing+=(docker-compose)
  command -v findmnt >/dev/null || missing+=(util-linux)
  [ ${#missing[@]} = 0 ] || { say "installing ${missing[*]}"; packages_install "$REPORTS/apt.log" "${missing[@]}"; }
}

deploy_sections() { # SERIES
  section deb "the Debian package" 600 deploy_deb
  section containers "the files for containers" 300 deploy_container
  finish clean
  section install "the package and the README's steps on a clean root, nginx in front" 1200 deploy_install "$1"
}

deploy_stop() { root_halt; }

deploy_deb() {
  set -e
  local said first
  rm -rf "$DEPLOY/deb"
  # a small package soon: what people get is packed more tightly
  export DEB_LEVEL=1
  as_builder mkdir -p "$DEPLOY/deb"
  deploy_deb_build "$DEPLOY/deb"
  first=$(echo "$DEPLOY"/deb/*.deb)
  deploy_deb_build "$DEPLOY/deb/again"
  cmp "$first" "$DEPLOY/deb/again/${first##*/}"
  echo "ok: the same checkout gives the same package"
  deploy_deb_build "$DEPLOY/deb/next" --revision 2
  said=$(lintian --fail-on error,warning --tag-display-limit 0 "$first" 2>&1) || { echo "$said"; return 1; }
  echo "${said:-ok: lintian has nothing to say}"
  dpkg-deb --info "$first"
}

deploy_deb_build() { # FOLDER ARGUMENTS
  local out=$1; shift
  as_builder env DEB_LEVEL="$DEB_LEVEL" WABRIDGE_PREBUILT="$WABRIDGE_BIN" WABRIDGE_CARGO="$CARGO" bash "$CHECKOUT/deploy/deb.sh" --out "$out" "$@"
}

deploy_install() { # SERIES
  set -e
  trap root_halt EXIT
  DEB=$(echo "$DEPLOY"/deb/*.deb) DEB_NEXT=$(echo "$DEPLOY"/deb/next/*.deb)
  deploy_seed "$1"
  root_make
  root_boot "$1"
  package_alone
  odoo_ready "$1"
  readme_install "$1"
  under_systemd
  credentials
  nginx_checks "$1"
  upgrade_and_removal
  printf '%d checks in %d files, 0 failed\n' "$CHECKS" 1
}

# The installed database that other sections have made already; else it is made here.
deploy_seed() {
  ( set -e
    addon_place "$1"; demo_folders; demo_secrets; odoo_prepare
    [ ! -e "$(odoo_seed_file base).dump" ] || exit 0
    postgres_start; odoo_seed base; postgres_stop )
}
