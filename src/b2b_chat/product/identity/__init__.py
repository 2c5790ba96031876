"""Users and the keys that let programs act for them."""
