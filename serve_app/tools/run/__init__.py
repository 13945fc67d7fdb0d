"""`tandem run`: a Serve config on this machine, in the foreground."""
