"""Muniment: a self-hosted, event-sourced artifact store and registry for machine learning."""
