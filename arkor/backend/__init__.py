"""The other end of the wire: a backend that trains on this machine."""
