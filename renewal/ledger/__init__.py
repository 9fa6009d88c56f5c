"""Double entry: accounts, holds and transfers, what a fee means in them, and their checks."""
