"""The report's sections: each computes what it says from the results alone."""
