"""What every page stands on: sessions, protection, layout, error pages, languages."""
