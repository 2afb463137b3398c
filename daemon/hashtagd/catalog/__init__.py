"""The memory of hashtagd: what is known, what is due next and when. SQLite, or a shared PostgreSQL."""
