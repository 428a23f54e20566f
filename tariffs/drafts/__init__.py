"""Drafts of tariff documents: written by one person, published by another."""
