#!/bin/sh
# Installs the Debian packages that tests, benchmarks and branches with readers need, and only those that are missing.
# Usage: debian.sh [pyscard] [openssl] [gnutls] [cards] [browser] [pango] [keystores] [kafka] [postgresql] [pooler] [redis]
set -eu

python=.venv/bin/python
missing=""

for need in "$@"; do
  case "$need" in
    pyscard)
      # Linux has no wheel of pyscard: it is compiled against pcsc-lite and against the headers of this very Python.
      command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
      command -v pkg-config >/dev/null || missing="$missing pkg-config"
      command -v swig >/dev/null || missing="$missing swig"
      pkg-config --exists libpcsclite 2>/dev/null || missing="$missing libpcsclite-dev"
      headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
      [ -e "$headers/Python.h" ] || missing="$missing python3-dev"
      ;;
    openssl)
      command -v openssl >/dev/null || missing="$missing openssl"
      ;;
    gnutls)
      # A verifier of its own make, which asks our OCSP responder.
      command -v ocsptool >/dev/null || missing="$missing gnutls-bin"
      ;;
    kafka)
      # The broker runs on Java; Maven fetches it.
      command -v java >/dev/null || missing="$missing default-jre-headless"
      command -v mvn >/dev/null || missing="$missing maven"
      ;;
    postgresql)
      # Debian keeps the server's programs out of the path.
      command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
      ;;
    cards)
      # A private pcscd with virtual readers, and the independent programs that judge what was written to a token.
      command -v pcscd >/dev/null || missing="$missing pcscd"
      [ -e /usr/lib/pcsc/drivers/serial/libifdvpcd.so ] || missing="$missing vsmartcard-vpcd"
      command -v pkcs11-tool >/dev/null || missing="$missing opensc"
      ls /usr/lib/softhsm/libsofthsm2.so >/dev/null 2>&1 || missing="$missing softhsm2"
      command -v yubico-piv-tool >/dev/null || missing="$missing yubico-piv-tool"
      ls /usr/lib/*/libykcs11.so.2 >/dev/null 2>&1 || missing="$missing ykcs11"
      ;;
    browser)
      # The pages are tested in Chromium, with Chinese fonts, so that screenshots show what a customer sees.
      command -v chromium >/dev/null || missing="$missing chromium"
      [ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing="$missing fonts-noto-cjk"
      ;;
    pango)
      # WeasyPrint draws the statement with it.
      ls /usr/lib/*/libpangoft2-1.0.so.0 >/dev/null 2>&1 || missing="$missing libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
      ;;
    keystores)
      # What else reads and writes the customers' backups: NSS and Java.
      command -v pk12util >/dev/null || missing="$missing libnss3-tools"
      command -v keytool >/dev/null || missing="$missing default-jdk-headless"
      ;;
    pooler)
      # A pooler that keeps no sessions must be refused; Debian keeps it out of a user's path.
      command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
      ;;
    redis)
      command -v redis-server >/dev/null || missing="$missing redis-server"
      ;;
    *)
      echo "debian.sh: nothing is known of '$need'" >&2
      exit 2
      ;;
  esac
done

[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "please install what Debian calls:$missing" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
echo "installing by apt-get:$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
# shellcheck disable=SC2086 - a list of names, one word each
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
