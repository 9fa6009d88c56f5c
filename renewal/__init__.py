"""The domain: rules, lifecycle, ledger, store, event log, delivery and gateways."""
