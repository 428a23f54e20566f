"""Services of a house beside metered electricity: price documents, volumes, charge lines."""
