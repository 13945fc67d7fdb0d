"""What clients notice of payload loggers, one whose sink is dead among them."""
