"""What a graph's step costs, beside a call of the same model through HTTP."""
