"""The actions of back-office staff, each on the audit trail."""
