"""Named queries, one module for each aggregate."""
