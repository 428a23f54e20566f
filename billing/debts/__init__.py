"""Debts of accounts: bills and payments, late fees, what a service may be limited for."""
