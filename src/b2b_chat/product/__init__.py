"""product_api: people, messages and money; everything that stays in Russia."""
