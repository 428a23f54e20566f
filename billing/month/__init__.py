"""What accounts owe for a month: stays, facts, lines, and what other plans would have cost."""
