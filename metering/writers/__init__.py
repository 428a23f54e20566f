"""Writers of interval values: values in, bytes out; they know nothing of places or sessions."""
