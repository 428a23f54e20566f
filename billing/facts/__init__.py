"""What holds for an account from a day on: terms, persons, capacity, absences, concessions."""
