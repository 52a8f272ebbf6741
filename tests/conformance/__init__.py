"""Suites that belong to the ports: every adapter runs the one of its port."""
