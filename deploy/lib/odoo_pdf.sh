# shellcheck shell=bash disable=SC2016,SC2154
# wkhtmltopdf, with which Odoo makes PDF of its reports: asked for by DEMO_PDF=1, because it is a download of 60 MB and only
# reports need it. Debian has it in one release only: the program comes from there with its own loader and libraries, so that
# it runs in the root of either series. No display: Qt draws off screen. Needs CHECKOUT, say.sh and odoo_root.sh.

ODOO_PDF_SUITE=bookworm
# Graphics drivers and data that it never loads.
ODOO_PDF_UNUSED='^(libllvm|libz3|libgl1-mesa|libglx-mesa|libegl-mesa|libgbm|libdrm|libvulkan|libinput-bin|iso-codes|dpkg|tar|perl|debconf|shared-mime|xkb-data|fonts-|ucf|sensible|adduser|passwd)'

# odoo_pdf ROOT : puts it into a root; where it cannot be had, reports go as HTML and everything else works
odoo_pdf() {
  local root=$1 bundle=$CHECKOUT/target/odoo/pdf
  [ -n "${DEMO_PDF:-}" ] && [ ! -x "$root/usr/bin/wkhtmltopdf" ] || return 0
  exec 7>"$bundle.lock"; flock 7
  [ -e "$bundle/ready" ] || ( odoo_pdf_bundle "$bundle" ) || { echo "no wkhtmltopdf: reports go as HTML"; exec 7>&-; return 0; }
  exec 7>&-
  rm -rf "$root/opt/pdf"; mkdir -p "$root/opt"
  cp -al "$bundle" "$root/opt/pdf" 2>/dev/null || cp -a "$bundle" "$root/opt/pdf"
  printf '%s\n' '#!/bin/sh' \
    'export QT_QPA_PLATFORM=offscreen QT_PLUGIN_PATH=/opt/pdf/plugins FONTCONFIG_FILE=/opt/pdf/fonts.conf XDG_RUNTIME_DIR=/tmp/pdf-run' \
    'exec /opt/pdf/lib/ld.so --library-path /opt/pdf/lib /opt/pdf/bin/wkhtmltopdf "$@"' >"$root/usr/bin/wkhtmltopdf"
  chmod 755 "$root/usr/bin/wkhtmltopdf"
}

odoo_pdf_bundle() {
  set -e
  local bundle=$1 dir=$1.apt sys=$1.apt/unpacked deb loader file
  rm -rf "$bundle" "$dir"; mkdir -p "$bundle"/{bin,lib,plugins/platforms} "$dir" "$sys"
  odoo_apt "$dir" "$ODOO_PDF_SUITE"
  export APT_CONFIG=$dir/apt.conf
  ( cd "$dir/archives" && apt-get install -qq --print-uris --no-install-recommends wkhtmltopdf | awk '{sub(/_.*/, "", $2); print $2}' |
    grep -vE "$ODOO_PDF_UNUSED" | xargs apt-get download -qq ) </dev/null >"$dir/download.log" 2>&1
  for deb in "$dir"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$sys" --keep-directory-symlink --no-same-owner --exclude='./usr/share/*' --exclude='./etc/*' --exclude='./var/*'
  done
  file=$(find "$sys" -name libqoffscreen.so | head -1); cp "$file" "$bundle/plugins/platforms/"
  cp -L "$sys/usr/bin/wkhtmltopdf" "$bundle/bin/"
  loader=$(find "$sys" -name 'ld-linux-*.so.*' | head -1); cp -L "$loader" "$bundle/lib/ld.so"
  for file in "$bundle/bin/wkhtmltopdf" "$bundle/plugins/platforms/libqoffscreen.so"; do
    "$bundle/lib/ld.so" --library-path "$(find "$sys/usr/lib" "$sys/lib" -maxdepth 1 -name '*-linux-gnu*' -printf '%p:' 2>/dev/null)" --list "$file" |
      awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | xargs -I{} cp -nL {} "$bundle/lib/"
  done
  printf '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>/usr/share/fonts</dir><cachedir>/tmp/pdf-fonts</cachedir></fontconfig>\n' >"$bundle/fonts.conf"
  QT_QPA_PLATFORM=offscreen QT_PLUGIN_PATH="$bundle/plugins" "$bundle/lib/ld.so" --library-path "$bundle/lib" "$bundle/bin/wkhtmltopdf" --version
  rm -rf "$dir"
  touch "$bundle/ready"
}
