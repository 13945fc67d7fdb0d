"""`tandem deploy`: a changed config to what runs, and what became of each model."""
