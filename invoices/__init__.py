"""What is handed to people: statements, payment documents, receipts of money, and their PDFs.

Owns the `document` table, the numbers without gaps, the payment string with its code, the templates
and the only door to WeasyPrint. Invariants: a statement adds up or cannot be built; a document is a
snapshot, issued once, never changed and cancelled only by another document; its digest covers
everything it shows; the same snapshot gives the same bytes. Boundary: is told what was charged and
what moved; rates nothing, posts nothing, sends nothing.
"""
