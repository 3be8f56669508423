"""The command line; each verb has one file."""
