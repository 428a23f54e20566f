"""Ways of delivery: a mail server, or a folder of files where none is set."""
