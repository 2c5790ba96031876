"""Writes the types and the resources of both clients from product_api's OpenAPI document."""
