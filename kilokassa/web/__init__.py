"""The faces of the product: the console, the account page and the HTTP API.

Owns pages, the kit they are made of, signing in, who may open what, and how a refusal becomes a
status. Invariants: an endpoint without an entry in `access.ACCESS` is closed to everyone; each
look-up goes through the actor's `Scope`; a GET writes nothing; no script stands in a page.
Boundary: nothing imports it but `wsgi.py` and the commands that serve it.
"""
