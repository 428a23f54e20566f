"""Deductions for outages and lacks of quality: ПП РФ № 354, annex 1."""
