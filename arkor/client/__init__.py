"""The wire: the cloud API, signing in, and following a job's event stream."""
