"""Which models are wanted, which are there, and the steps between. Pure: no Ray."""
