"""What clients notice of a model's versions that take each other's place under load."""
