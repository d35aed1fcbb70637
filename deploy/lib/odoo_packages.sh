# shellcheck shell=bash disable=SC2034
# Where the two Odoo series come from: the one place that names packages, releases and versions.
# A root built from an older state of this file is built anew (odoo_root.sh compares a hash of it).
#
# Odoo 14: package and dependencies from an archived release. Not from its security suite: the index there names files
# that are gone. Odoo 19: dependencies from the stable release, only the odoo package itself from the moving one.
# wkhtmltopdf, a dependency as declared, is left out: only PDF reports need it, and it doubles the download.

ODOO_RECIPE=1                                    # count up when odoo_root.sh unpacks differently: roots are built anew

ODOO_14_PACKAGE=odoo-14
ODOO_14_VERSION=${ODOO_14_VERSION:-14.0.0+dfsg.2-7+deb11u2}
ODOO_14_SUITE=bullseye
ODOO_14_DEPENDS_SUITE=bullseye
ODOO_14_DEPENDS="python3 python3-babel python3-dateutil python3-decorator python3-docutils python3-feedparser
 python3-gevent python3-html2text python3-idna python3-jinja2 python3-libsass python3-lxml python3-mako
 python3-mock python3-ofxparse python3-passlib python3-pil python3-polib python3-psutil python3-psycopg2
 python3-pydot python3-pyparsing python3-pypdf2 python3-qrcode python3-reportlab python3-requests
 python3-serial python3-stdnum python3-tz python3-usb python3-vobject python3-werkzeug python3-xlsxwriter
 python3-xlwt python3-zeep python3-chardet python3-freezegun python3-num2words python3-xlrd python3-phonenumbers
 fonts-glyphicons-halflings fonts-font-awesome fonts-roboto-unhinted fonts-inconsolata
 libjs-jquery libjs-jquery-ui libjs-underscore dash coreutils"

ODOO_19_PACKAGE=odoo-19
ODOO_19_VERSION=${ODOO_19_VERSION:-19.0.0+dfsg-1}
ODOO_19_SUITE=sid
ODOO_19_DEPENDS_SUITE=trixie
ODOO_19_DEPENDS="python3 python3-asn1crypto python3-babel python3-cbor2 python3-chardet python3-cryptography
 python3-dateutil python3-docutils python3-geoip2 python3-gevent python3-greenlet python3-idna
 python3-jinja2 python3-libsass python3-lxml-html-clean python3-markupsafe python3-num2words
 python3-ofxparse python3-openpyxl python3-openssl python3-pil python3-polib python3-psutil
 python3-psycopg2 python3-pypdf python3-tz python3-qrcode python3-reportlab python3-requests
 python3-rjsmin python3-serial python3-stdnum python3-urllib3 python3-usb python3-vobject
 python3-werkzeug python3-xlrd python3-xlsxwriter python3-xlwt python3-zeep python3-freezegun
 python3-magic python3-passlib python3-phonenumbers fonts-dejavu-core fonts-glyphicons-halflings fonts-inconsolata
 fonts-font-awesome fonts-roboto-unhinted libjs-jquery libjs-jquery-form libjs-underscore dash coreutils"
