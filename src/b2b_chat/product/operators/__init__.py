"""Operators: the installation's own people, who set up companies, add credits, and block companies and people."""
