"""Every message on disk before it is published: SQLite, and what of it is told again, counted and kept how long."""
