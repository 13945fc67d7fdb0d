"""The only Ray actors: thin classes over the plain ones."""
