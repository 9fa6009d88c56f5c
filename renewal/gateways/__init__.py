"""The world outside, each part as a port with a real and an embedded adapter."""
