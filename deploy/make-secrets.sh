#!/bin/sh
# Makes the secrets' files of docker-compose.yml, once; what is there is never changed.
# As root, so that they belong to the user of the image (10001) and nobody else reads them.
set -eu

folder="${1:-$(dirname "$0")/secrets}"
umask 077
mkdir -p "$folder"

# made NAME LINE: keeps a file that is there.
made() {
  [ -e "$folder/$1" ] || printf '%s\n' "$2" > "$folder/$1"
}
random() {
  od -An -vtx1 -N"$1" /dev/urandom | tr -d ' \n'
}

for name in columns codes pepper stations ca mail audit; do
  made "$name.key" "$(random 32)"
done
made tokens.key "$(random 24 | cut -c1-24)" # 24 hex digits: an AES-192 key
made postgres.password "$(random 24)"
made owner.pgpass "*:*:*:xuqi:$(cat "$folder/postgres.password")"
for name in web workers relay; do
  made "$name.pgpass" "*:*:*:$name:$(random 24)"
done
made grafana.password "$(random 12)"

chmod 0400 "$folder"/*
chmod 0444 "$folder/grafana.password" # Grafana has a user of its own; nobody else enters the folder
if [ "$(id -u)" -eq 0 ]; then
  chown 10001:10001 "$folder" "$folder"/*
else
  echo "not root: give $folder to the user of the image: sudo chown -R 10001:10001 $folder" >&2
fi
