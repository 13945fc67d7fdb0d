"""`tandem models`: which models a service has, and load and unload them."""
