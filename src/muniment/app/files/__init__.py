"""Files on their way in and out: read and hashed, waiting to be logged, fetched and put below a folder."""
