"""Payments: registries, providers, orders of residents, money nobody was found for, refunds."""
