"""A run's figures as a report: page, pictures, files, terminal."""
