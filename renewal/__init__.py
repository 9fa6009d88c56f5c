"""The foundation: rules, store, log, gateways and delivery."""
