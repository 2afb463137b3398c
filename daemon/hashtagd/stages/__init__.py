"""What happens to a row that is due: settle, digest, ask, publish, download."""
