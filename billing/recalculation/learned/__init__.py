"""What was learned since a close: facts, prices, areas, outages, and readings that came later."""
