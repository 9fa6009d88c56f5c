"""A certification authority in one folder: its keys, its database, its lists and its server."""
