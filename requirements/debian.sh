#!/bin/sh
# Installs the Debian packages that tests, benchmarks and branches with readers need, and only those that are missing.
# Usage: debian.sh [pyscard] [openssl] [kafka] [postgresql] [redis]
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
    kafka)
      # The broker runs on Java; Maven fetches it.
      command -v java >/dev/null || missing="$missing default-jre-headless"
      command -v mvn >/dev/null || missing="$missing maven"
      ;;
    postgresql)
      # Debian keeps the server's programs out of the path.
      command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
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
