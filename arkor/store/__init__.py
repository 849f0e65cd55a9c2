"""What is kept on disk: the journal, the credentials, the project states."""
