"""`tandem models` and `tandem traffic`: what a service has, and changes of it while it runs."""
