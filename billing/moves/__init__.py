"""Who moves out, who moves in, who pays from a day on."""
