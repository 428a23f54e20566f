"""The demo town: people, prices, energy and payments from a fixed seed.

It owns invented data and nothing else: profiles, prices, households and series are pure functions
of (seed, date), so a later run appends the days since and repeats the earlier ones exactly. Only
`town` touches the database, and only through the services that everyone else uses.

Nothing here is a customer's data. Load profiles and prices are published facts, named with their
sources in `data/`; whoever shows them says that this is a demo.
"""
