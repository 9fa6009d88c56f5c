"""The language: events, their codec, tables, migrations and product policies."""
