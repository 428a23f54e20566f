"""Looking back: checks over a population that only later or longer series allow."""
