"""One module a file format: bytes in, arrivals or refusals out; no file is opened here."""
