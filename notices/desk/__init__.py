"""What people and other systems do with notices: prove deliveries, send again, state wishes.

Owns the proofs of deliveries, the preferences of accounts and the webhooks. Invariants: a record of
a delivery never changes, a wrong one is answered by a withdrawal; nothing is delivered before it
was written, or in the future; a secret is shown once. Boundary: like all of `notices`, it knows
accounts by id alone.
"""
