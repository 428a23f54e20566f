"""The same use under other plans: what each would cost, and a change of plan by the resident."""
