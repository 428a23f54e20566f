"""Debts: what is owed for each service, late fees, instalments, and the state that follows."""
