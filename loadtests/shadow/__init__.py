"""What a shadow does to the requests beside it, and whether it finds what differs."""
