"""What people ask for about themselves, and erasing it: from the request to the certificate, and after a backup."""
