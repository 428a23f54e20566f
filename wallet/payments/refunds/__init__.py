"""Money that a payer asked back: held when it is asked for, posted when it is paid."""
