#!/bin/bash
# Gives each role its rights and each process its login. Running it again is harmless.
set -euo pipefail

here="$(dirname "$0")"
secrets="${1:-/run/secrets}"
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$here/roles.sql"
for name in web workers relay; do
  # A line of a password file is host:port:database:user:password (PostgreSQL, 32.16).
  PASSWORD="$(cut -d: -f5 "$secrets/$name.pgpass")" psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$name" <<'SQL'
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN IN ROLE %I', :'name', 'xuqi_' || :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
SQL
done
