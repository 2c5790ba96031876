"""The web client: pages that product_api serves to people's browsers."""
