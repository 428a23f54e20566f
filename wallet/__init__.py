"""What residents pay ahead and owe: a double-entry ledger, lots, and which lot paid what.

Owns wallets, ledger accounts, journal entries, postings, lots and draws. Invariants: postings sum
to zero; lots less what is uncovered equal the ledger; a draw plus what it left uncovered equals the
amount; nothing is uncovered while a living lot holds something; entries of a wallet form a hash
chain in recorded order; a closed month takes no more entries; the same key and request happen once.
Boundary: knows accounts by id alone, no tariff, no document. Only the one wallet that changes is
locked; the house's accounts carry no balance.
"""
