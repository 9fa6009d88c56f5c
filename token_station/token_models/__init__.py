"""What makes of PKCS#11 tokens differ in, as data: a file for each."""
