"""The database: engine, unit of work, identity map, bulk statements, locks, leases, encryption."""
